"""The command: `python3 dev.py bench`, which is `python -m bench` in the environment of the clone."""

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from bench import machine, page, results, table
from bench.environments import FOLDER, PEER, ROOT, install_extensions, install_peer, install_sampler
from bench.postgresql import Postgresql
from bench.processes import Trouble, alone
from bench.scenarios import NAMES, SCENARIOS
from bench.session import Choice, Session
from bench.shape import Scenario
from bench.sides import Side, ours, peer
from bench.system import POSTGRESQL, SQLITE, Stores

PAGE = ROOT / "docs" / "performance.md"
EXAMPLES = """\
For example:
    python3 dev.py bench --quick
    python3 dev.py bench --scenario create poll --database postgresql
    python3 dev.py bench --scenario transitions --ours-only --profile
    python3 dev.py bench --scenario history --ended-runs 10000000
    python3 dev.py bench
    python3 dev.py bench --page .bench/results/ALL.json .bench/results/LATER.json

Everything is made in .bench/: the peer's environment, the results as JSON, profiles. A complete benchmark, without
options, takes about an hour and writes docs/performance.md as well."""


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; 0 when every turn gave figures, 1 when not, 130 when it was ended."""
    options = parse(arguments)
    if options.page:
        return write_page(options.page)
    if options.list:
        print("\n\n".join(f"{each.name}\n    {page.summary(each)}" for each in SCENARIOS))
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with alone(FOLDER):
            return run(options)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    except Trouble as trouble:
        say(f"The benchmark has to stop: {trouble}")
        return 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="Measure Headgate and the peer, side by side, over the same calls with the same load.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="short loads, small backlogs, one round: to see that it works")
    parser.add_argument("--scenario", nargs="+", choices=NAMES, metavar="NAME", help=f"only these: {', '.join(NAMES)}")
    parser.add_argument("--database", choices=(SQLITE, POSTGRESQL), help="only on this database")
    parser.add_argument("--ours-only", action="store_true", help="leave the peer out; it is not installed either")
    parser.add_argument("--profile", action="store_true", help="with --ours-only: also write where our server's time goes")
    parser.add_argument(
        "--ended-runs",
        type=at_least_two,
        metavar="RUNS",
        help="so many ended runs in the scenario `history`; ten million take 22 GB and a quarter of an hour per database",
    )
    parser.add_argument("--list", action="store_true", help="say what each scenario measures, and how")
    parser.add_argument(
        "--page",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="only write docs/performance.md, from a file of results; further files replace the scenarios that they hold",
    )
    options = parser.parse_args(arguments)
    if options.profile and not options.ours_only:
        parser.error("a profile slows our server down, so it is not compared: add --ours-only")
    return options


def at_least_two(text: str) -> int:
    """A number of runs, of which one part and then the rest can be loaded."""
    number = int(text.replace("_", "").replace(",", ""))
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text} runs are too few; it takes two.")
    return number


def interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the benchmark as Ctrl-C does."""
    raise KeyboardInterrupt


def run(options: argparse.Namespace) -> int:
    """Measure, show, keep."""
    work = FOLDER / "work"
    shutil.rmtree(work, ignore_errors=True)
    choice = choose(options)
    kept = results.Results(
        date=datetime.now(UTC).replace(microsecond=0),
        quick=choice.quick,
        machine=machine.describe(),
        versions=versions(choice),
    )
    if kept.machine.is_busy:
        say(f"The machine is busy (load {kept.machine.load_before}): the figures will be worth little.")
    try:
        extensions = install_extensions(FOLDER, say) if len(choice.sides) > 1 and POSTGRESQL in choice.databases else None
        with Postgresql(extensions) as postgresql:
            if POSTGRESQL in choice.databases:
                kept.versions["PostgreSQL"] = postgresql.version()
            stores, profiles = Stores(work, postgresql), FOLDER / "profiles" / f"{kept.date:%Y%m%d-%H%M%S}"
            Session(choice, stores, work, say, profiles if options.profile else None).run(kept.turns.append)
            if len(choice.sides) > 1 and not choice.quick and (missed := missing_targets(kept)):
                sampler = str(install_sampler(FOLDER, say))
                short = Choice(missed, choice.databases, choice.sides[:1], quick=True)
                Session(short, stores, work, say, profiles, sampler).run(kept.profiled.append)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if kept.turns:
            file = results.write(kept, FOLDER / "results")
            say(f"\n{table.plain(results.rows(kept))}\n\nWrote {file.relative_to(ROOT)}.")
    if is_complete(options):
        write_page([file])
    return 1 if any(turn.trouble for turn in kept.turns) else 0


def missing_targets(kept: results.Results) -> list[type[Scenario]]:
    """The scenarios with a server of which a target was not reached: where its time goes is worth knowing."""
    missed = {row.scenario for row in results.rows(kept) if row.is_reached is False}
    return [each for each in SCENARIOS if each.name in missed and each.needs_server]


def choose(options: argparse.Namespace) -> Choice:
    """What the options ask for; installs the peer when it takes part."""
    sides = [ours(Path(sys.executable).with_name("headgate"))]
    if not options.ours_only:
        sides.append(peer(install_peer(FOLDER, say).program("prefect")))
    return Choice(
        scenarios=[each for each in SCENARIOS if options.scenario is None or each.name in options.scenario],
        databases=[options.database] if options.database else [SQLITE, POSTGRESQL],
        sides=sides,
        quick=options.quick,
        ended_runs=options.ended_runs,
    )


def versions(choice: Choice) -> dict[str, str]:
    """Of what is measured."""
    peers: Sequence[Side] = [side for side in choice.sides if not side.is_ours]
    return {"headgate": version("headgate")} | {side.name: PEER.partition("==")[2] for side in peers}


def is_complete(options: argparse.Namespace) -> bool:
    """Whether everything was measured, so that it may stand in the documentation."""
    return not (options.quick or options.scenario or options.database or options.ours_only)


def write_page(files: Sequence[Path]) -> int:
    """Write `docs/performance.md` from a file of results, and from later ones of some scenarios."""
    found = reduce(results.updated, map(results.read, files))
    PAGE.write_text(page.render(found, SCENARIOS), "utf-8")
    say(f"Wrote {PAGE.relative_to(ROOT)}.")
    return 0


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
