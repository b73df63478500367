"""The page about Python: its code does what it says, and every module of calls is named."""

import os
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules

from doc_pages import ROOT, snippets, with_what_it_continues

from headgate.client import calls

PAGE = ROOT / "docs" / "howto" / "python-api.md"


def test_the_code_prints_what_the_page_shows(tmp_path: Path) -> None:
    """All of it, in one process, against the real API in that process, with warnings as errors."""
    last = [each for each in snippets("python") if each.page == PAGE][-1]
    shown = [each.code for each in snippets("text") if each.page == PAGE]
    script = tmp_path / "pools.py"
    script.write_text(with_what_it_continues(last))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HEADGATE_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env=environment | {"HEADGATE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(shown)
    assert (tmp_path / "home" / "headgate.db").exists()


def test_every_module_of_calls_is_named() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    named = {name.strip(" `") for row in rows for name in row.split(",")}
    assert named - {"headgate.client.calls"} == {module.name for module in iter_modules(calls.__path__)}
