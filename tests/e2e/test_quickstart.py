"""The quickstart, followed to the letter: its file is saved, its commands are typed in their order."""

import shlex
import sys
from pathlib import Path

from real_system import HEADGATE, PROJECT, System

sys.path.insert(0, str(PROJECT.parents[1] / "docs"))

from doc_pages import ROOT, Snippet, snippets

STAYS = {("server", "start"), ("worker", "start")}
"""Commands that go on in a terminal of their own."""


def of_the_quickstart(language: str) -> list[Snippet]:
    return [snippet for snippet in snippets(language) if snippet.page == ROOT / "docs" / "quickstart.md"]


def test_the_quickstart_leads_to_a_watched_run(system: System, tmp_path: Path) -> None:
    del system.env["HEADGATE_API_URL"]  # it is set on the way
    system.env["HEADGATE_SERVER_API_PORT"] = str(system.port)
    [program] = of_the_quickstart("python")
    (system.project / "flows.py").write_text(program.code)
    shown = ""
    for line in "".join(snippet.code for snippet in of_the_quickstart("bash")).splitlines():
        words = shlex.split(line.replace(":4200", f":{system.port}"))
        if words[0] != "headgate":
            continue
        if tuple(words[1:3]) in STAYS:
            command = system.start(HEADGATE, *words[1:], name=words[1])
            system.wait_for_text(command, {"server": "API", "worker": "started!"}[words[1]])
        else:
            shown = system.headgate(*words[1:])
    assert "hello you, number 1" in shown
    assert shown.rstrip().endswith("Completed")
