"""The page `docs/performance.md`, written from results and from what the scenarios say of themselves."""

import inspect
from collections.abc import Iterator, Sequence

from bench.numbers import written
from bench.results import Results, Row, Turn, rows
from bench.shape import Scenario
from bench.table import markdown

INTRODUCTION = """\
# Performance

Headgate and the peer, Prefect {peer}, measured side by side by `python3 dev.py bench`, which writes this page. Both get
the same calls over the same HTTP wire from the same load generator. Both run with their default settings, each with a
fresh home and a fresh database on 127.0.0.1, one after the other, and in every second round the other way round. A figure
is the median of its rounds. The load generator is a process of its own on the same machine.

| | |
| --- | --- |
{facts}
"""

AREAS = """\
Of the scenarios with a missed target, in short turns of ours alone: shares of the busy time of our server's process,
by where its threads were when they were sampled, 200 times a second.
"""

WARNING = """
**Not to be relied on:** {why}. Measure again on a machine that has nothing else to do.
"""


def render(results: Results, scenarios: Sequence[type[Scenario]]) -> str:
    """The whole page."""
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(results))
    parts = [INTRODUCTION.format(peer=results.versions.get("prefect", "(not measured)"), facts=facts)]
    if doubts := list(_doubts(results)):
        parts.append(WARNING.format(why=", and ".join(doubts)))
    found = list(rows(results))
    parts += [_section(each, results, [row for row in found if row.scenario == each.name]) for each in scenarios]
    parts += [_missed(found), _areas(results.profiled)]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def summary(scenario: type[Scenario]) -> str:
    """What a scenario says of itself, its paragraphs on a line each."""
    text = inspect.getdoc(scenario) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    machine = results.machine
    yield "Date", f"{results.date:%Y-%m-%d %H:%M} UTC"
    yield "Machine", f"{machine.cores} cores of {machine.processor}, {machine.memory_gigabytes:g} GB, {machine.kernel}"
    yield "Load before", f"{machine.load_before:g}"
    yield "Python, SQLite", f"{machine.python}, {machine.sqlite}"
    yield from results.versions.items()


def _doubts(results: Results) -> Iterator[str]:
    if results.quick:
        yield "these are figures of the quick mode"
    if results.machine.is_busy:
        yield f"the machine was busy with other programs (load {results.machine.load_before:g})"


def _section(scenario: type[Scenario], results: Results, found: Sequence[Row]) -> str:
    if not found:
        return ""
    turns = [turn for turn in results.turns if turn.scenario == scenario.name]
    shares = [turn.load_cpu_share for turn in turns if turn.load_cpu_share is not None]
    lines = [f"\n## {scenario.name}\n", summary(scenario), "", markdown(found)]
    if shares:
        lines += ["", f"The load generator took up to {written(max(shares))} of one core."]
    lines += [f"\nMeasured again: {when}." for when in sorted({turn.measured for turn in turns if turn.measured})]
    lines += [
        f"\nNo figures of {turn.side} on {turn.database}: {turn.trouble.splitlines()[0]}" for turn in turns if turn.trouble
    ]
    return "\n".join(lines)


def _missed(found: Sequence[Row]) -> str:
    """Targets that were not reached are listed, not hidden."""
    missed = [row for row in found if row.is_reached is False]
    lines = ["\n## Targets that are missed\n", markdown(missed) if missed else "None."]
    return "\n".join(lines)


def _areas(profiled: Sequence[Turn]) -> str:
    """Where our server's time went in what missed a target."""
    turns = [turn for turn in profiled if turn.areas]
    if not turns:
        return ""
    names = sorted(
        {area for turn in turns for area in turn.areas}, key=lambda area: -sum(t.areas.get(area, 0) for t in turns)
    )
    head = ["", *(f"{turn.scenario}, {turn.database}" for turn in turns)]
    rule = ["---", *("---:" for _ in turns)]
    rows = [[area, *(f"{turn.areas.get(area, 0):.0%}" for turn in turns)] for area in names]
    return "\n".join(["\n## Where the time goes\n", AREAS, *(f"| {' | '.join(row)} |" for row in (head, rule, *rows))])
