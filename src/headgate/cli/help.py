"""How `--help` of a command looks: aligned plain text that fits the terminal and reads the same in a pipe."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_FEW = 3
_LONGEST_LABEL = 26
_INDENT = "  "
_WIDEST = 100


class PlainHelp:
    """A formatter for the parser: it is called once for each group of commands or options."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        entries = [(_label(entry, panel), _description(entry)) for entry in panel.entries if not _is_flag(entry, panel)]
        if not entries:
            return
        width = min(max(len(label) for label, _ in entries), _LONGEST_LABEL) + 2
        lines = [line for entry in entries for line in _lines(*entry, width=width, total=min(console.width, _WIDEST))]
        _print(console, "\n".join([f"{_TITLES.get(str(panel.title), panel.title)}:", *lines]), end="\n\n")

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """The line that says how to call it."""
        _print(console, " ".join(["Usage:", *str(usage or "").split()]), end="\n\n")

    def render_description(self, console: "Console", options: "ConsoleOptions", description: Any) -> None:
        """The command's docstring, as it was written."""
        paragraphs = _plain(description).strip("\n").split("\n\n")
        if text := "\n\n".join(_wrapped(paragraph, min(console.width, _WIDEST)) for paragraph in paragraphs).strip():
            _print(console, text, end="\n\n")


_METAVARS = {"STR": "TEXT", "INT": "NUMBER", "FLOAT": "NUMBER", "CHOICE": ""}
_TITLES = {"Parameters": "Options"}


def _is_flag(entry: "HelpEntry", panel: "HelpPanel") -> bool:
    return panel.format == "command" and all(name.startswith("-") for name in entry.names + entry.shorts)


def _label(entry: "HelpEntry", panel: "HelpPanel") -> str:
    if panel.format == "command":
        return " ".join(entry.names + entry.shorts)
    if entry.positional_label:
        return entry.positional_label
    metavar = (entry.metavar or "").removesuffix("...")
    if entry.choices and _is_short(entry.choices):
        metavar = "|".join(entry.choices)
    return " ".join([", ".join(sorted(entry.all_options, key=len)), _METAVARS.get(metavar, metavar)]).rstrip()


def _is_short(choices: Sequence[str]) -> bool:
    return len(choices) <= _FEW


def _description(entry: "HelpEntry") -> str:
    parts = [_plain(entry.description).strip()]
    if entry.choices and not _is_short(entry.choices):
        parts.append(f"[{' | '.join(entry.choices)}]")
    if entry.default not in (None, "", "False", "None", "[]"):
        parts.append(f"[default: {entry.default}]")
    if entry.required:
        parts.append("[required]")
    return " ".join(part for part in parts if part)


def _lines(label: str, description: str, *, width: int, total: int) -> list[str]:
    """An entry: its label, and its description beside it or, when the label is long, below."""
    wrapped = textwrap.wrap(description, max(total - width - len(_INDENT), 30), break_on_hyphens=False) or [""]
    if len(label) + 2 > width:
        return [_INDENT + label, *(_INDENT + " " * width + line for line in wrapped)]
    first, *rest = wrapped
    return [(_INDENT + label.ljust(width) + first).rstrip(), *(_INDENT + " " * width + line for line in rest)]


def _wrapped(paragraph: str, width: int) -> str:
    """A paragraph at this width; one with indented lines, such as examples, stays as it is."""
    if any(line.startswith(" ") for line in paragraph.splitlines()):
        return "\n".join(line.rstrip() for line in paragraph.splitlines())
    return textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)


def _plain(content: Any) -> str:
    if content is None:
        return ""
    return str(getattr(content, "plain", None) or getattr(content, "primary_renderable", None) or content)


def _print(console: "Console", text: str, *, end: str) -> None:
    console.print(text, end=end, highlight=False, markup=False, soft_wrap=True)
