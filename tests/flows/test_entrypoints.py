"""Entrypoints: both forms are found, errors say what there is, and a function finds its own place."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate import flow
from headgate.errors import ConfigError, Invalid
from headgate.flows.entrypoints import entrypoint_of, load_flow

Write = Callable[..., Path]

FLOW = """
from headgate import flow

@flow(name="the flow")
def hello(n: int = 1):
    return n
"""


def test_a_file_is_loaded_relative_to_its_base(program: Write, tmp_path: Path) -> None:
    program(FLOW, "deep/inventory_flow.py")
    loaded = load_flow("code/deep/inventory_flow.py:hello", base=tmp_path)
    assert loaded.name == "the flow"
    assert loaded("3") == 3


def test_a_module_is_loaded_from_below_the_base(program: Write) -> None:
    program("", "shop/__init__.py")
    program(FLOW, "shop/orders.py")
    assert load_flow("shop.orders:hello", base=Path.cwd()).name == "the flow"


def test_plain_functions_and_methods_are_flows_too(program: Write) -> None:
    program("class Jobs:\n    @staticmethod\n    def nightly(n): return n\n\ndef plain_one(): return 7\n", "plain.py")
    assert load_flow("plain.py:plain_one", base=Path.cwd())() == 7
    assert load_flow("plain.py:plain_one", base=Path.cwd()).name == "plain-one"
    assert load_flow("plain.py:Jobs.nightly", base=Path.cwd())(5) == 5


def test_modules_beside_the_file_can_be_imported(program: Write) -> None:
    program("VALUE = 41", "sub/beside_it.py")
    program("import beside_it\ndef go(): return beside_it.VALUE + 1", "sub/uses_it.py")
    assert load_flow("sub/uses_it.py:go", base=Path.cwd())() == 42


def test_classes_of_a_loaded_file_can_be_pickled(program: Write) -> None:
    program(
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    n: int\ndef make(n): return Row(n)\n",
        "rows.py",
    )
    row = load_flow("rows.py:make", base=Path.cwd())(3)
    assert pickle.loads(pickle.dumps(row)) == row
    assert sys.modules["rows"].Row is type(row)


def test_a_file_whose_name_is_taken_gets_another_module_name(program: Write) -> None:
    program("from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int\ndef go(): return A(1)", "json.py")
    program("def go(): return 'other'", "other/json.py")
    result = load_flow("json.py:go", base=Path.cwd())()
    assert result.__class__.__module__ == "json_2"
    assert pickle.loads(pickle.dumps(result)) == result
    assert load_flow("other/json.py:go", base=Path.cwd())() == "other"
    assert load_flow("json.py:go", base=Path.cwd())() == result
    import json

    assert hasattr(json, "dumps")


@pytest.mark.parametrize("name", ["my-flow.py", "v1.2.py"])
def test_file_names_need_not_be_identifiers(program: Write, name: str) -> None:
    program("def go(): return 1", name)
    assert load_flow(f"{name}:go", base=Path.cwd())() == 1


@pytest.mark.parametrize("entrypoint", ["flows.py", ":go", "flows.py:", ""])
def test_text_that_is_no_entrypoint_is_refused(entrypoint: str) -> None:
    with pytest.raises(ConfigError, match=r"neither `path/to/file.py:function` nor `package.module:function`"):
        load_flow(entrypoint, base=Path.cwd())


def test_a_missing_file_or_module_is_named_with_where_it_was_looked_for(program: Write) -> None:
    with pytest.raises(ConfigError, match=rf"There is no file {Path.cwd()}/nope.py"):
        load_flow("nope.py:go", base=Path.cwd())
    with pytest.raises(ConfigError, match=rf"no module 'nope.what'.* nor below {Path.cwd()}"):
        load_flow("nope.what:go", base=Path.cwd())


def test_an_import_that_fails_inside_the_code_is_its_own_error(program: Write) -> None:
    program("import not_installed_anywhere", "broken.py")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_flow("broken.py:go", base=Path.cwd())
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_flow("broken:go", base=Path.cwd())
    assert "broken" not in sys.modules


def test_a_missing_name_lists_what_there_is(program: Write) -> None:
    program(FLOW + "\ndef helper(): ...\n", "with_flows.py")
    program("from os.path import join\nX = 3\ndef one(): ...\ndef _two(): ...", "without_flows.py")
    program("X = 3", "empty_of_functions.py")
    with pytest.raises(ConfigError, match=r"with_flows.py has no 'helo'. Flows there: hello\."):
        load_flow("with_flows.py:helo", base=Path.cwd())
    with pytest.raises(ConfigError, match=r"has no 'two'. Functions there: one\."):
        load_flow("without_flows.py:two", base=Path.cwd())
    with pytest.raises(ConfigError, match=r"'without_flows.py:X' is of type int, not a function. Functions there: one\."):
        load_flow("without_flows.py:X", base=Path.cwd())
    with pytest.raises(ConfigError, match=r"There is no function in it\."):
        load_flow("empty_of_functions.py:go", base=Path.cwd())


@flow
def top_level(): ...


def original(): ...


renamed = flow(original)


class Group:
    @staticmethod
    @flow
    def method(): ...


def test_a_flow_finds_its_own_place() -> None:
    here = Path(__file__)
    assert entrypoint_of(top_level, base=here.parent) == ("test_entrypoints.py:top_level", here.parent)
    assert entrypoint_of(top_level, base=here.parent.parent) == ("flows/test_entrypoints.py:top_level", here.parent.parent)
    assert entrypoint_of(renamed, base=here.parent)[0] == "test_entrypoints.py:renamed"
    assert entrypoint_of(Group.method, base=here.parent)[0] == "test_entrypoints.py:Group.method"
    assert entrypoint_of(top_level.with_options(name="x"), base=here.parent)[0] == "test_entrypoints.py:top_level"


def test_outside_of_the_base_the_files_own_directory_is_the_base(tmp_path: Path) -> None:
    assert entrypoint_of(top_level, base=tmp_path) == ("test_entrypoints.py:top_level", Path(__file__).parent)


def test_a_flow_that_cannot_be_found_from_outside_is_refused() -> None:
    @flow
    def local(): ...

    with pytest.raises(Invalid, match="cannot be found from outside: define it at the top of its file"):
        entrypoint_of(local, base=Path.cwd())
    scope: dict[str, object] = {}
    exec("def typed(): ...", scope)
    with pytest.raises(Invalid, match="does not come from a file"):
        entrypoint_of(flow(scope["typed"]), base=Path.cwd())
    with pytest.raises(Invalid, match="does not come from a file"):
        entrypoint_of(flow(len), base=Path.cwd())
