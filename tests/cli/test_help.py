"""`--help` of every command teaches, and is the same width everywhere."""

from collections.abc import Iterator

import pytest
from command_line import Run
from cyclopts import App

from headgate.cli.commands import COMMANDS
from headgate.cli.dispatch import build


def _commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    nouns = [name for name in app if not name.startswith("-")]
    for name in nouns:
        yield from _commands(app[name], (*words, name))
    if not nouns:
        yield words


ALL = sorted(_commands(build()))
READS = [words for words in ALL if words[-1] in ("ls", "inspect", "view", "status", "logs", "version", "preview")]


def test_all_commands_are_found() -> None:
    assert len(ALL) >= 35
    assert {words[0] for words in ALL} == set(COMMANDS)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_says_what_it_does_and_gives_an_example(run: Run, words: tuple[str, ...]) -> None:
    outcome = run(*words, "--help")
    usage, _, sentence, *_ = outcome.out.splitlines()
    assert outcome.code == 0
    assert usage.startswith(f"Usage: headgate {' '.join(words)}")
    assert sentence[0].isupper()
    assert f"\nFor example:\n    headgate {' '.join(words)}" in outcome.out


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_is_explained_within_80_columns(run: Run, words: tuple[str, ...]) -> None:
    lines = run(*words, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    entries = [(line, following) for line, following in zip(lines, [*lines[1:], ""], strict=True) if line.startswith("  -")]
    unexplained = [line for line, following in entries if "  " not in line.strip() and not following.startswith("     ")]
    assert not unexplained


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_every_read_answers_json(run: Run, words: tuple[str, ...]) -> None:
    assert "-o, --output table|json" in run(*words, "--help").out


@pytest.mark.parametrize("noun", sorted(name for name, command in COMMANDS.items() if command.target.endswith(":app")))
def test_a_noun_lists_its_commands(run: Run, noun: str) -> None:
    outcome = run(noun)
    assert outcome.out == run(noun, "--help").out
    assert COMMANDS[noun].help in outcome.out
    listed = outcome.out.partition("\nCommands:\n")[2]
    assert listed
    assert "object at" not in listed
