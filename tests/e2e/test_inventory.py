"""The example flow, called as the plain function that it is: no server, no worker."""

import csv
import importlib.util
import sys
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyarrow import parquet

EXAMPLE = Path(__file__).parents[2] / "examples" / "inventory.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_inventory", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of installed distributions that is all the example sees."""
    root = tmp_path / "site"
    root.mkdir()
    monkeypatch.setattr(example, "distributions", lambda: distributions(path=[str(root)]))
    return root


def install(
    site: Path,
    name: str,
    *,
    files: dict[str, int] | None = None,
    recorded: tuple[str, ...] = (),
    direct_url: str = "",
    **metadata: Any,
) -> None:
    """Lay down a distribution of files with these sizes; `recorded` names files that exist only in its record."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    fields = {"Name": name, "Version": "1.0"} | {key.replace("_", "-"): value for key, value in metadata.items()}
    lines = [f"{key}: {each}" for key, value in fields.items() for each in ([value] if isinstance(value, str) else value)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    if direct_url:
        (info / "direct_url.json").write_text(direct_url)
    for path, size in (files or {}).items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(b"x" * size)
    if files is not None:
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*files, *recorded]))


def scan(example: ModuleType) -> dict[str, Any]:
    return {package.name: package for package in example.scan(progress=lambda *line: None)}


def test_size_is_the_sum_of_recorded_files_that_exist(example: ModuleType, site: Path) -> None:
    install(site, "tool", files={"tool/a.py": 1000, "tool/b.py": 234}, recorded=("tool/gone.py",))
    assert scan(example)["tool"].size == 1234


def test_an_editable_install_counts_its_source_tree_without_caches(example: ModuleType, site: Path, tmp_path: Path) -> None:
    source = tmp_path / "project" / "src"
    for path, size in {"pkg/a.py": 700, "pkg/__pycache__/a.pyc": 9000, ".git/objects/x": 9000}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(b"x" * size)
    install(site, "linked", files={"linked.pth": 0}, direct_url='{"url": "file:///x", "dir_info": {"editable": true}}')
    (site / "linked.pth").write_text(f"import os\n{source}\n")
    package = scan(example)["linked"]
    assert package.editable
    assert package.size == 700 + (site / "linked.pth").stat().st_size


def test_an_editable_install_without_a_path_file_counts_its_project(example: ModuleType, site: Path, tmp_path: Path) -> None:
    (tmp_path / "a project").mkdir()
    (tmp_path / "a project" / "a.py").write_bytes(b"x" * 300)
    url = (tmp_path / "a project").as_uri()
    install(site, "hooked", files={}, direct_url=f'{{"url": "{url}", "dir_info": {{"editable": true}}}}')
    assert scan(example)["hooked"].size == 300


def test_a_distribution_without_a_record_is_named_and_counts_as_nothing(example: ModuleType, site: Path) -> None:
    install(site, "bare")
    packages = list(scan(example).values())
    assert (packages[0].size, packages[0].recorded) == (0, False)
    assert "Without a list of files, so counted as 0 bytes: bare." in example.report_text(packages, packages)


def test_dependencies_and_dependants_are_those_installed(example: ModuleType, site: Path) -> None:
    install(site, "app", Requires_Dist=["Lib.Core>=1", "absent", 'extra-only; extra == "x"', 'lib_b; python_version > "3"'])
    install(site, "lib-core", Requires_Dist=["lib-b"])
    install(site, "lib-b")
    install(site, "extra-only")
    found = scan(example)
    assert found["app"].requires == ("lib-b", "lib-core")
    assert found["lib-b"].dependants == ("app", "lib-core")
    assert found["extra-only"].dependants == ()


@pytest.mark.parametrize("with_packaging", [True, False])
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Plain", "plain"),
        ("dotted.Name_x >=1,<2", "dotted-name-x"),
        ("with-extras[a,b] ~= 1.0", "with-extras"),
        ('optional ; extra == "test"', None),
        ('optional>=1; python_version >= "3" and extra == "test"', None),
        ("??", None),
    ],
)
def test_requirement_names_are_read_with_and_without_packaging(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, with_packaging: bool, line: str, name: str | None
) -> None:
    if not with_packaging:
        monkeypatch.setattr(example, "Requirement", None)
    assert example.required_name(line) == name


def test_a_requirement_whose_marker_is_false_here_is_left_out(example: ModuleType) -> None:
    assert example.required_name('winonly; sys_platform == "nowhere"') is None


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "short"),
    [
        ("Apache-2.0 OR BSD-2-Clause", "whatever", ["License :: OSI Approved :: MIT License"], "Apache-2.0 OR BSD-2-Clause"),
        (None, "BSD 3-Clause License", [], "BSD-3-Clause"),
        (None, "MIT/X11 and GPL", [], "MIT/X11 and GPL"),
        (None, "UNKNOWN", ["License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (None, None, ["License :: OSI Approved"], "unknown"),
        (None, None, ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], "GPL"),
        (None, "", ["License :: OSI Approved :: MIT License", "License :: Public Domain"], "MIT OR public domain"),
        (None, "Copyright someone\n\nPermission is hereby granted, free of charge, to any person\n", [], "MIT"),
        (None, "A house licence", [], "A house licence"),
        (None, None, [], "unknown"),
    ],
)
def test_licences_get_a_short_name(
    example: ModuleType, expression: str | None, text: str | None, classifiers: list[str], short: str
) -> None:
    assert example.licence_of(expression, text, classifiers) == short


def test_report_and_parquet_hold_what_is_big_enough(example: ModuleType, site: Path, tmp_path: Path) -> None:
    install(site, "big", files={"big.py": 5000}, Summary="Big | bold", License_Expression="MIT", Requires_Dist=["small"])
    install(site, "small", files={"small.py": 10})
    answer = example.inventory(path=str(tmp_path / "out" / "deep"), minimum_size=1000)
    assert (answer["distributions"], answer["listed"]) == (2, 1)
    report = Path(answer["report"]).read_text()
    assert "| big | 1.0 | 5 kB | MIT | small |  | Big \\| bold |" in report
    assert "Nothing installed depends on these 1: big." in report
    rows = parquet.read_table(answer["data"]).to_pylist()
    assert [(row["name"], row["size"], row["requires"]) for row in rows] == [("big", 5000, ["small"])]


def test_parquet_keeps_its_columns_without_a_row(example: ModuleType, site: Path, tmp_path: Path) -> None:
    answer = example.inventory(path=str(tmp_path), minimum_size=1)
    table = parquet.read_table(answer["data"])
    assert table.num_rows == 0
    assert str(table.schema.field("requires").type).startswith("list")


def test_without_pyarrow_the_data_is_csv(
    example: ModuleType, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "find_spec", lambda name: None)
    install(site, "app", files={"app.py": 10}, Requires_Dist=["lib", "lab"])
    install(site, "lib")
    install(site, "lab")
    answer = example.inventory(path=str(tmp_path))
    with open(answer["data"], newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["app", "lab", "lib"]
    assert (rows[0]["size"], rows[0]["requires"]) == ("10", "lab lib")


def test_failing_on_purpose_comes_after_the_scan_and_writes_nothing(example: ModuleType, site: Path, tmp_path: Path) -> None:
    install(site, "app", files={"app.py": 10})
    with pytest.raises(ValueError, match="after a scan of 1 distributions"):
        example.inventory(path=str(tmp_path / "out"), fail=True)
    assert not (tmp_path / "out").exists()


def test_a_negative_size_is_refused_with_its_value(example: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="minimum_size is -1"):
        example.inventory(path=str(tmp_path), minimum_size=-1)


def test_a_broken_write_leaves_the_old_file_and_no_draft(example: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "inventory.md"
    target.write_text("old")

    def break_down(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        example.replace(target, break_down)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("inventory.md", "old")]


def test_this_environment_is_counted_whole(example: ModuleType) -> None:
    """Real input: what the tests themselves run on."""
    found = scan(example)
    assert found["headgate"].editable
    assert found["headgate"].size > 100_000
    assert {"headgate"} <= set(found["msgspec"].dependants)
    assert found["pytest"].licence == "MIT"
