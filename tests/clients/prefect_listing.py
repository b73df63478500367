"""Run by a client's own Python: prints each of its commands on a line, under every name that it goes by."""

from collections.abc import Iterator
from typing import Any

from prefect.cli import app


def of_click(command: Any, name: str) -> Iterator[str]:
    """Those of 2.x, and of 3.x as long as it was built with typer."""
    if not (below := getattr(command, "commands", None)):
        yield name
        return
    for word, each in below.items():
        yield from of_click(each, f"{name} {word}".strip())


def of_cyclopts(command: Any, name: str) -> Iterator[str]:
    """Those of later releases, whose commands are loaded when they are asked for."""
    words = [word for word in command if not word.startswith("-")]
    if not words or command.default_command is not None:
        yield name
    for word in words:
        yield from of_cyclopts(command[word], f"{name} {word}".strip())


if hasattr(app, "registered_commands"):
    import typer.main

    commands = of_click(typer.main.get_command(app), "")
else:
    from prefect.cli._app import _app

    commands = of_cyclopts(_app, "")
print(*sorted(set(commands)), sep="\n")
