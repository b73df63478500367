"""Runs `headgate` with a profile of each of its threads: `python -P bench/profiled.py FOLDER server start ...`.

When it ends, FOLDER holds a text for each thread, and the profile that it was written from. For Python 3.12 and later, which
allow one profile at a time, that is the main thread alone.
"""

import cProfile
import io
import pstats
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headgate.cli import main

SHOWN = 60


def run(folder: Path, arguments: Sequence[str]) -> int:
    """The exit code of the command."""
    profiles: dict[str, cProfile.Profile] = {}
    run_thread = threading.Thread.run

    def run_profiled(thread: threading.Thread) -> None:
        profile = profiles[thread.name] = cProfile.Profile()
        with suppress(ValueError):  # another profile is active
            profile.enable()
        try:
            run_thread(thread)
        finally:
            profile.disable()

    threading.Thread.run = run_profiled  # type: ignore[method-assign, assignment]
    sys.argv[1:] = arguments
    profile = profiles["main"] = cProfile.Profile()
    code = 0
    try:
        profile.runcall(main)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in profiles.items():
        write(each, folder / f"{name}.txt")
    return code


def write(profile: cProfile.Profile, file: Path) -> None:
    """The functions that took longest by themselves, then those that took longest with all that they called."""
    if not profile.getstats():
        return
    profile.dump_stats(file.with_suffix(".pstats"))
    text = io.StringIO()
    stats = pstats.Stats(profile, stream=text).strip_dirs()
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(SHOWN)
    file.write_text(text.getvalue())


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
