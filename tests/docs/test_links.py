"""Links between pages lead somewhere."""

import re
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def targets(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link["target"] for link in LINK.finditer(prose) if "://" not in link["target"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [target for target in targets(page) if not (page.parent / target.partition("#")[0]).exists()]
    assert not missing


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        linked = [(page.parent / target.partition("#")[0]).resolve() for target in targets(page)]
        ahead += [each for each in linked if each.suffix == ".md" and each not in seen]
    assert set(PAGES) <= seen
