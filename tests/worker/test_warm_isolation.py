"""A flow sees no difference but speed: what a warm run finds around itself is what a cold run finds."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from warm_runs import Runs, load_fake_api

from headgate.settings import Settings

fake_api = load_fake_api()

LOOK = """
import gc, json, logging, os, resource, signal, sys, threading, multiprocessing.spawn
def kind(fd):
    try: return os.readlink(f"/proc/self/fd/{fd}").partition(":")[0]
    except OSError: return None
def go():
    main = sys.modules["__main__"]
    umask = os.umask(0o22)
    os.umask(umask)
    print(json.dumps({
        "environment": {k: v for k, v in os.environ.items() if k != "HEADGATE__FLOW_RUN_ID"},
        "environment of C": sorted(n for n in os.environ if os.getenv(n) is None),
        "directory": os.getcwd(),
        "arguments": [sys.argv, sys.orig_argv, sys.flags.safe_path, sys.executable, list(sys.warnoptions)],
        "command line": open("/proc/self/cmdline").read(),
        "path": sys.path,
        "main": [main.__name__, main.__file__, main.__spec__.name, main.__package__, sorted(vars(main))],
        "main for spawn": multiprocessing.spawn.get_preparation_data("x").get("init_main_from_name"),
        "own module": __name__,
        "umask": umask,
        "session": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
        "signals": [str(signal.getsignal(n)) for n in sorted(signal.valid_signals()) if n != signal.SIGTERM],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timers": [signal.getitimer(n) for n in range(3)],
        "open files": [kind(fd) for fd in (0, 1, 2)],
        "other files": sorted(k for k in map(kind, os.listdir("/proc/self/fd")[3:]) if k not in (None, "socket")),
        "stdin": sys.stdin.read(),
        "streams": [(s.encoding, s.errors, s.line_buffering, s.fileno()) for s in (sys.stdout, sys.stderr)],
        "threads": sorted(t.name for t in threading.enumerate()),
        "tasks": len(os.listdir("/proc/self/task")),
        "main thread": threading.current_thread() is threading.main_thread(),
        "logging": [str(logging.root.handlers), logging.root.level,
                    [type(h).__name__ for h in logging.getLogger("headgate.flow_runs").handlers]],
        "limits": [resource.getrlimit(n) for n in range(10)],
        "collector": [gc.isenabled(), gc.get_threshold()],
        "recursion": [sys.getrecursionlimit(), len(__import__("inspect").stack())],
        "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
        "nice": os.nice(0),
        "processor time begins at nothing": __import__("time").process_time() < 5,
    }))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Any]]]:
    """What runs see by how they were started: cold, forked with the engine, forked with the code."""
    directory = tmp_path_factory.mktemp("code").resolve()
    (directory / "warm_flows.py").write_text(LOOK)
    environment = {"ADDED": "a", "EMPTY": "", "HOME": None, "ODD": "\udcff snow ❄", "LANG": "C.UTF-8"}

    async def look(url: str, **settings: Any) -> list[Any]:
        runs = Runs(api, url, directory, Settings(**settings))
        return [await runs.facts(env=environment) for _ in range(2)]

    with fake_api.served(api := fake_api.FakeApi()) as url:
        yield {
            "cold": asyncio.run(look(url, worker_warm_processes=False)),
            "engine": asyncio.run(look(url, worker_warm_flows=0)),
            "code": asyncio.run(look(url)),
        }


FACTS = [line.split('"')[1] for line in LOOK.splitlines() if line.startswith('        "')]


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("start", ["engine", "code"])
def test_a_warm_run_sees_what_a_cold_run_sees(seen: dict[str, list[Any]], start: str, fact: str) -> None:
    for warm, cold in zip(seen[start], seen["cold"], strict=True):
        assert warm[fact] == cold[fact]


def test_the_facts_are_facts(seen: dict[str, list[Any]]) -> None:
    """The comparison above is not one of nothing with nothing."""
    facts = seen["cold"][0]
    assert facts["environment"]["ODD"] == "\udcff snow ❄"
    assert "HOME" not in facts["environment"]
    assert facts["open files"] == ["/dev/null", "pipe", "pipe"]
    assert facts["main"][2] == facts["main for spawn"] == "headgate.flows.engine"
    assert facts["session"] == [True, True]
    assert facts["children"] == ""
    assert facts["environment of C"] == []
    json.dumps(facts)


def test_runs_are_forked_at_all(seen: dict[str, list[Any]], tmp_path: Path) -> None:
    """From the engine's zygote, which is a child of this process, or from the code's, which is a child of that."""
    (tmp_path / "warm_flows.py").write_text("import os\ndef go(): print(os.getppid())")

    async def parents(url: str, **settings: Any) -> set[str]:
        runs = Runs(fake_api.FakeApi(), url, tmp_path, Settings(**settings))
        with fake_api.served(runs.api) as runs.url:
            return {(await runs.run())[-1] for _ in range(2)}

    assert asyncio.run(parents("", worker_warm_processes=False)) == {str(os.getpid())}
    engine, code = asyncio.run(parents("", worker_warm_flows=0)), asyncio.run(parents(""))
    assert len(engine) == len(code) == 1
    assert str(os.getpid()) not in engine | code
