"""The table of clients names what the tests with real clients cover, for the releases that they cover it with."""

import sys
from pathlib import Path

from doc_pages import ROOT

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
sys.path.insert(0, str(ROOT / "tests" / "clients"))

from table import PAGE, PART, WORKS, declared, render


def test_the_table_of_clients_is_that_of_the_tests() -> None:
    """After a change: `python3 dev.py clients`."""
    found = PART.search(Path(PAGE).read_text("utf-8"))
    assert found is not None
    assert found[0] == f"{found[1]}{render(dict.fromkeys(declared(), WORKS))}{found[2]}"
