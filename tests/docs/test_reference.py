"""The reference pages say what the program says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from doc_pages import ROOT

from headgate.schema.states import StateType
from headgate.settings import NAMES, env_name, help_of

PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_openapi_document_is_the_one_of_the_app(generator: ModuleType) -> None:
    """After a change: `.venv/bin/python docs/generate.py`."""
    assert generator.as_text(generator.openapi_document()) == generator.OPENAPI.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_current(generator: ModuleType, page: Path) -> None:
    """After a change: `.venv/bin/python docs/generate.py`."""
    assert generator.render(page) == page.read_text("utf-8")


def test_every_setting_is_documented_with_its_help() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert not [name for name in NAMES if f"| `{env_name(name)}` |" not in text or f"| {help_of(name)} |" not in text]


def test_every_state_is_explained() -> None:
    text = (ROOT / "docs" / "reference" / "states.md").read_text("utf-8")
    assert not [kind for kind in StateType if f"| `{kind}` | " not in text]
