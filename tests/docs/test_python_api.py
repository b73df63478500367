"""The page about Python: its code does what it says, and every module of calls is named."""

from pathlib import Path
from pkgutil import iter_modules

from doc_pages import ROOT, run_python, snippets, with_what_it_continues

from headgate.client import calls

PAGE = ROOT / "docs" / "howto" / "python-api.md"


def test_the_code_prints_what_the_page_shows(tmp_path: Path) -> None:
    """All of it, in one process, against the real API in that process, with warnings as errors."""
    last = [each for each in snippets("python") if each.page == PAGE][-1]
    shown = [each.code for each in snippets("text") if each.page == PAGE]
    done = run_python(with_what_it_continues(last), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(shown)
    assert (tmp_path / "home" / "headgate.db").exists()


def test_every_module_of_calls_is_named() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    named = {name.strip(" `") for row in rows for name in row.split(",")}
    assert named - {"headgate.client.calls"} == {module.name for module in iter_modules(calls.__path__)}
