"""Warm starts with real processes: what runs share and what they do not, how they end, and when they are started cold."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from warm_runs import PATIENCE, Runs, load_fake_api

from headgate.flows.processes import LaunchError
from headgate.settings import Settings
from headgate.worker.infra import births, zygotes

fake_api = load_fake_api()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Runs]]:
    """`make(worker_warm_uses=…)` gives runs under these settings."""
    for name in list(os.environ):
        if name.startswith(("HEADGATE_", "PREFECT_")):
            monkeypatch.delenv(name)
    (tmp_path / "code").mkdir()
    api = fake_api.FakeApi()
    with fake_api.served(api) as url:
        yield lambda **settings: Runs(api, url, (tmp_path / "code").resolve(), Settings(**settings))


@pytest.fixture
def runs(make: Callable[..., Runs]) -> Runs:
    """Runs under the default settings."""
    return make()


PARENT = "import os\ndef go(): print(os.getppid())\n"


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while is_alive(pid):  # noqa: ASYNC110 - not our child
            await asyncio.sleep(0.01)


# What runs share


async def test_runs_of_the_same_code_are_forked_from_one_import_of_it(runs: Runs) -> None:
    runs.write(f"open('imports', 'a').write('x')\n{PARENT}")
    parents = {(await runs.run())[-1] for _ in range(3)}
    assert len(parents) == 1
    assert (runs.directory / "imports").read_text() == "x"


async def test_state_of_modules_is_fresh_in_every_run(runs: Runs) -> None:
    runs.write("seen = []\ndef go():\n    seen.append(1)\n    print(len(seen))")
    assert [await runs.run() for _ in range(3)] == [["1"]] * 3


async def test_code_of_one_flow_is_not_seen_by_another(runs: Runs) -> None:
    runs.write("x = 1\ndef go(): ...", "one.py")
    runs.write("import sys\ndef go(): print('one' in sys.modules)", "two.py")
    await runs.run("one.py:go")
    assert await runs.run("two.py:go") == ["False"]


@pytest.mark.parametrize("changed", ["warm_flows.py", "beside.py", "table.json"])
async def test_changed_files_are_noticed_by_the_next_run(runs: Runs, changed: str) -> None:
    """The flow's own, a module that it imports, and one that it reads while it is imported."""
    runs.write("import beside\ntable = open('table.json').read()\ndef go(): print(1, beside.value, table)")
    runs.write("value = 1", "beside.py")
    runs.write("1", "table.json")
    assert await runs.run() == await runs.run() == ["1 1 1"]
    file = runs.directory / changed
    file.write_text(file.read_text().replace("1", "22"))
    assert "22" in (await runs.run())[0]


async def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_noticed(runs: Runs) -> None:
    file = runs.write("def go(): print(1)")
    await runs.run()
    (new := runs.directory / "new").write_text("def go(): print(2)")
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.replace(file)
    (runs.directory / "__pycache__" / f"warm_flows.{sys.implementation.cache_tag}.pyc").unlink(missing_ok=True)
    assert await runs.run() == ["2"]


CHANCES = {
    "the common generator": "random.random()",
    "one of the module's own": "own.random()",
    "the system's": "os.urandom(8).hex()",
    "uuid": "uuid.uuid4()",
    "uuid by time": "uuid.uuid1()",
    "secrets": "secrets.token_hex()",
    "OpenSSL": "ssl.RAND_bytes(8).hex()",
    "the key of multiprocessing": "bytes(multiprocessing.current_process().authkey).hex()",
    "names of temporary files": "next(tempfile._get_candidate_names())",
}


@pytest.mark.parametrize("flows", [0, 1], ids=["engine", "code"])
async def test_random_numbers_differ_between_runs(make: Callable[..., Runs], flows: int) -> None:
    runs = make(worker_warm_flows=flows)
    modules = "random, os, uuid, secrets, ssl, multiprocessing, tempfile, json"
    shown = ", ".join(f"{name!r}: str({code})" for name, code in CHANCES.items())
    runs.write(f"import {modules}\nown = random.Random()\ndef go(): print(json.dumps({{{shown}}}))")
    first, second = await runs.facts(), await runs.facts()
    assert [name for name in CHANCES if first[name] == second[name]] == []


async def test_seeds_that_code_sets_stay(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    runs.write("import random\nown = random.Random(7)\ndef go(): print(own.random())", "own.py")
    runs.write("import random\nrandom.seed(7)\ndef go(): print(random.random())", "common.py")
    shown = [await runs.run(f"{name}.py:go") for name in ("own", "common") for _ in range(2)]
    assert shown == [["0.32383276483316237"]] * 4


async def test_numpy_gets_a_new_seed(runs: Runs) -> None:
    """A stand-in with the parts of NumPy that matter."""
    (runs.directory / "numpy").mkdir()
    runs.write("", "numpy/__init__.py")
    runs.write(
        """
class BitGenerator:
    _seed_seq = object()
class _rand:
    _bit_generator = BitGenerator()
    def get_state(): return "MT19937", [0] * 624, 624, 0, 0.0
class mtrand:
    _rand = _rand
seeds = []
def seed(): seeds.append(1)
""",
        "numpy/random.py",
    )
    runs.write("import numpy.random, os\ndef go(): print(len(numpy.random.seeds), os.getppid())")
    (first, parent), second = (await runs.run())[0].split(), (await runs.run())[0].split()
    assert [first, parent] == second == ["1", parent]


async def test_what_code_prints_when_it_is_imported_is_printed_by_every_run(runs: Runs) -> None:
    runs.write("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.write('no end')\ndef go(): print('.')")
    assert [await runs.run() for _ in range(2)] == [["out", "err", "no end."]] * 2


async def test_environment_that_code_sets_when_it_is_imported_is_there(runs: Runs) -> None:
    runs.write("import os\nos.environ['SET'] = 'by code'\ndef go(): print(os.environ['SET'], os.environ['GIVEN'])")
    for given in ("a", "b", "b"):
        assert await runs.run(env={"GIVEN": given}) == [f"by code {given}"]


async def test_logging_that_code_sets_up_when_it_is_imported_works(runs: Runs) -> None:
    runs.write("import logging\nlogging.basicConfig(format='%(message)s')\ndef go(): logging.warning('said')")
    assert [await runs.run() for _ in range(2)] == [["said"]] * 2


async def test_what_is_registered_for_the_exit_is_called_at_the_end_of_every_run_only(make: Callable[..., Runs]) -> None:
    runs = make(worker_warm_idle_seconds=0.01)
    runs.write(f"import atexit\natexit.register(lambda: open('exits', 'a').write('x'))\n{PARENT}")
    [parent] = await runs.run()
    await gone(int(parent))
    assert (runs.directory / "exits").read_text() == "x"


async def test_what_is_not_closed_is_written_when_a_run_ends(runs: Runs) -> None:
    runs.write("kept = []\ndef go():\n    kept.append(open('file', 'w'))\n    kept[0].write('text')")
    await runs.run()
    assert (runs.directory / "file").read_text() == "text"


LAST_THINGS = """
import atexit, ctypes, json, sys, threading, time
class Held:
    def __init__(self, name): self.name = name
    def __del__(self): print("gave up", self.name, ready)
ready, held, cycle = True, Held("held"), []
cycle.append((cycle, Held("in a cycle")))
json.patched = lambda: held
def last():
    while not main_is_done.wait(0.01): pass
    print("the thread ended")
main_is_done = threading.Event()
def go():
    threading.Thread(target=last).start()
    atexit.register(print, "second")
    atexit.register(print, "first")
    threading._register_atexit(main_is_done.set)
    ctypes.CDLL(None).printf(b"from C\\n")
    sys.stdout.write("done\\n")
"""


async def test_a_run_ends_as_an_interpreter_does(make: Callable[..., Runs]) -> None:
    """Threads, exit handlers, what modules hold, and what the C library has buffered."""
    shown = []
    for settings in ({"worker_warm_processes": False}, {"worker_warm_flows": 0}, {}):
        runs = make(**settings)
        runs.write(LAST_THINGS)
        shown += [await runs.run() for _ in range(2)]
    assert shown == [shown[0]] * 6
    wanted = {"done", "the thread ended", "first", "second", "gave up held True", "gave up in a cycle True", "from C"}
    assert set(shown[0]) == wanted


async def test_pools_and_event_loops_work(runs: Runs) -> None:
    runs.write("""
import asyncio, multiprocessing
def double(n): return 2 * n
async def go():
    assert await asyncio.to_thread(double, 1) == 2
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.map(double, [1, 2]))
""")
    for _ in range(2):
        assert (await runs.run())[-3:] == ["fork [2, 4]", "spawn [2, 4]", "forkserver [2, 4]"]


# What they do not


LEFTOVERS = {
    "has 2 threads": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "leaves open a socket": "import socket; s = socket.socket()",
    "leaves open a socket, anon_inode:[eventpoll]": "import asyncio; loop = asyncio.new_event_loop()",
    "starts processes": "import subprocess; p = subprocess.Popen(['sleep', '0.2'])",
    "sets signal handlers": "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "sets a timer": "import signal; signal.setitimer(signal.ITIMER_REAL, 600)",
    "changes the working directory": "import os; os.chdir('/')",
    "changes settings of Headgate in its environment": "import os; os.environ['HEADGATE_LOGGING_LEVEL'] = 'DEBUG'",
    "changes the logger of runs": "import logging; logging.getLogger('headgate.flow_runs').setLevel('ERROR')",
    "reads files that change meanwhile": "import os; open('t', 'w').close(); open('t').close(); os.remove('t')",
    "draws or seeds random numbers": "import random; random.random()",
    "asks for the time": "from datetime import date; TODAY = date.today()",
    "asks for chance": "import uuid; BATCH = uuid.uuid4()",
    "asks for its process id": "import os; ME = os.getpid()",
    "asks for what is in a directory": "from pathlib import Path; FILES = sorted(Path('.').glob('*.csv'))",
    "asks for others over the network or a database": "import sqlite3; sqlite3.connect(':memory:').close()",
    "asks for another program": "import subprocess; subprocess.run(['true'])",
}


@pytest.mark.parametrize("reason", LEFTOVERS)
async def test_code_that_leaves_something_behind_is_imported_by_every_run(
    runs: Runs, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, at INFO."""
    caplog.set_level(logging.INFO, "headgate.worker")
    runs.write(f"open('imports', 'a').write('x')\n{LEFTOVERS[reason]}\n{PARENT}")
    parents = {(await runs.run())[-1] for _ in range(3)}
    assert len(parents) == 1, "they are still forked from the zygote with the engine"
    assert (runs.directory / "imports").read_text() == "xxxx"
    said = [record.message for record in caplog.records]
    assert said == [f"Each run of 'warm_flows.py:go' imports its code itself: the import {reason}."]


async def test_an_open_file_is_named(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate.worker")
    runs.write(f"file = open('held', 'w')\n{PARENT}")
    await runs.run()
    assert f"leaves open {runs.directory / 'held'}." in caplog.text


async def test_a_failing_import_is_reported_as_ever_and_tried_again_once_it_is_mended(runs: Runs) -> None:
    file = runs.write("import no_such_module_here\ndef go(): ...")
    for _ in range(2):
        started = await runs.start()
        assert await started.ended() == 3
        assert started.state == "Crashed"
        assert "no_such_module_here" in runs.api.history[started.id][-1].message
    file.write_text(PARENT + "# mended\n")  # of another size: bytecode of the same second and size would count as current
    assert len({(await runs.run())[-1] for _ in range(2)}) == 1


@pytest.mark.parametrize("end", ["import os; os._exit(9)", "import sys; sys.exit('no')", "raise KeyboardInterrupt"])
async def test_an_import_that_ends_the_process_ends_a_run_only(runs: Runs, end: str) -> None:
    runs.write(end)
    for _ in range(2):
        assert await (await runs.start()).ended() != 0
    runs.write(PARENT, "good.py")
    await runs.run("good.py:go")


async def test_code_above_the_memory_cap_is_not_held(make: Callable[..., Runs], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate.worker")
    runs = make(worker_warm_memory_mb=100)
    runs.write(f"big = bytearray(100_000_000)\nfor n in range(0, len(big), 4096): big[n] = 1\n{PARENT}")
    await runs.run()
    assert "MB, more than the 100 of HEADGATE_WORKER_WARM_MEMORY_MB." in caplog.text


async def test_code_is_imported_anew_after_so_many_uses(make: Callable[..., Runs]) -> None:
    runs = make(worker_warm_uses=2)
    runs.write(PARENT)
    first, second, third, fourth, fifth = [(await runs.run())[-1] for _ in range(5)]
    assert first == second != third == fourth != fifth
    await gone(int(first))


async def test_idle_code_is_let_go(make: Callable[..., Runs]) -> None:
    runs = make(worker_warm_idle_seconds=0.01)
    runs.write(PARENT)
    [parent] = await runs.run()
    await gone(int(parent))
    assert await runs.run() != [parent]


async def test_the_code_that_was_not_used_for_longest_makes_room(make: Callable[..., Runs]) -> None:
    runs = make(worker_warm_flows=2)
    for name in "abc":
        runs.write(PARENT, f"{name}.py")
    held = {name: (await runs.run(f"{name}.py:go"))[-1] for name in "abac"}
    await gone(int(held["b"]))
    assert await runs.run("a.py:go") == [held["a"]]
    assert await runs.run("c.py:go") == [held["c"]]


async def test_code_is_not_imported_ahead_for_environments_that_never_come_again(runs: Runs) -> None:
    runs.write(f"open('imports', 'a').write('x')\n{PARENT}")
    parents = [(await runs.run(env={"N": str(n)}))[-1] for n in range(4)]
    assert len(set(parents[1:])) == 1, "all but the first from the zygote with the engine"
    assert (runs.directory / "imports").read_text() == "xxxx"
    await runs.run(env={"N": "3"})
    assert (await runs.run(env={"N": "3"}))[-1] not in parents


async def test_what_an_interpreter_reads_at_its_start_is_obeyed(runs: Runs) -> None:
    runs.write("import sys\ndef go(): print(hash('a'), sys.flags.utf8_mode)")
    shown = [await runs.run(env={"PYTHONHASHSEED": seed, "PYTHONUTF8": mode}) for seed, mode in ("10", "21", "10")]
    assert shown[0] == shown[2] != shown[1]
    assert [line.split()[1] for [line] in shown] == ["0", "1", "0"]


# How they end


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.kill(os.getpid(), 11)", -11),
        ("os.abort()", -6),
        ("raise ValueError", 1),
    ],
)
async def test_a_run_that_dies_is_known_by_its_code(runs: Runs, end: str, code: int) -> None:
    runs.write(f"import os\ndef go(): {end}\ndef good(): ...")
    assert await (await runs.start()).ended() == code
    await runs.run("warm_flows.py:good")


STAYS = """
import os, subprocess, time
def go():
    child = subprocess.Popen(["sleep", "600"])
    print("child", child.pid)
    print("begun")
    while not os.path.exists("gate"): time.sleep(0.01)
    child.kill(); child.wait()
    print("done", os.getppid())
"""


async def test_stopping_a_run_ends_it_with_all_that_it_started(runs: Runs) -> None:
    runs.write(STAYS)
    started = await runs.start()
    await started.printed("begun")
    child = int(next(line for line in started.lines if line.startswith("child")).split()[1])
    assert os.getpgid(child) == started.pid
    assert await started.running.stop(PATIENCE) == 143
    assert started.state == "Crashed"
    assert not is_alive(child)


async def test_what_does_not_listen_is_killed(runs: Runs) -> None:
    runs.write(
        "import signal, time\ndef go():\n    signal.signal(15, signal.SIG_IGN)\n    print('begun')\n    time.sleep(600)"
    )
    started = await runs.start()
    await started.printed("begun")
    assert await started.running.stop(0.05) == -9


@pytest.mark.parametrize("whose", ["engine", "code"])
async def test_runs_go_on_when_their_zygote_is_killed(make: Callable[..., Runs], whose: str) -> None:
    """They end as they would have; later runs are forked from another zygote."""
    runs = make(worker_warm_flows=0 if whose == "engine" else 16)
    runs.write(STAYS)
    started = [await runs.start() for _ in range(2)]
    for each in started:
        await each.printed("begun")
    zygote = started[0].parent
    os.kill(zygote, signal.SIGKILL)
    await gone(zygote)
    (runs.directory / "gate").touch()
    for each in started:
        await each.ended()
        assert each.state == "Completed"
    parents = {(await runs.run())[-1].split()[1] for _ in range(3)}
    assert not parents & {str(zygote), str(os.getpid())}


@pytest.mark.parametrize("flows", [0, 16], ids=["engine", "code"])
async def test_signals_to_the_whole_service_do_not_end_a_zygote(make: Callable[..., Runs], flows: int) -> None:
    """Its runs get them as well, and how they end is still to be told."""
    runs = make(worker_warm_flows=flows)
    runs.write(STAYS)
    started = await runs.start()
    await started.printed("begun")
    zygote = started.parent
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(zygote, number)
    os.kill(started.pid, signal.SIGTERM)
    assert await started.ended() == 143
    await started.running.stop(0.0)
    (runs.directory / "gate").touch()
    assert (await runs.run())[-1] == f"done {zygote}"


async def test_a_run_that_ends_is_noticed_even_when_its_zygote_hangs(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(births, "_TELLING_PATIENCE", 0.05)
    runs.write(STAYS)
    started = await runs.start()
    await started.printed("begun")
    zygote = started.parent
    os.kill(zygote, signal.SIGSTOP)
    try:
        (runs.directory / "gate").touch()
        assert await started.ended() == -9, "nobody can know its code"
        assert started.state == "Completed"
    finally:
        os.kill(zygote, signal.SIGKILL)


async def test_many_runs_at_once(runs: Runs) -> None:
    runs.write("import os\ndef go(): print(os.getpid())")
    started = await asyncio.gather(*(runs.start() for _ in range(30)))
    assert [await each.ended() for each in started] == [0] * 30
    assert [each.lines for each in started] == [[str(each.pid)] for each in started]
    assert len({each.pid for each in started}) == 30


async def test_nothing_of_a_zygote_is_inherited_by_programs(runs: Runs) -> None:
    """Neither by those of the run, nor by those of the worker."""
    runs.write("import os, subprocess\ndef go(): subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, check=True)")
    for _ in range(2):
        lines = await runs.run()
        assert not any("socket" in line or "pidfd" in line for line in lines), lines
        assert all(not os.get_inheritable(int(fd)) for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and is_open(int(fd)))


# What they send to the API


async def test_a_run_asks_for_nothing_and_reports_through_its_worker(runs: Runs) -> None:
    runs.write("from headgate import get_run_logger\ndef go(): get_run_logger().info('logged')")
    await runs.run()
    assert [line.rpartition("/")[2] for line in runs.forwarded] == ["set_state", "", "set_state"]
    assert len(runs.api.calls) == 3
    assert runs.api.messages() == ["logged"]


async def test_a_run_reports_itself_when_its_worker_is_gone(runs: Runs) -> None:
    runs.write(STAYS)
    started = await runs.start()
    await started.printed("begun")
    started.running._process._process._line.close()  # type: ignore[attr-defined]
    (runs.directory / "gate").touch()
    assert await started.ended() == 0
    assert started.state == "Completed"
    assert len(runs.forwarded) == 1


async def test_a_run_waits_for_an_api_that_its_worker_does_not_reach(runs: Runs) -> None:
    runs.write("def go(): ...")
    runs.unreachable = 3
    await runs.run()
    assert runs.unreachable == 0
    assert len(runs.forwarded) >= 5


async def test_a_run_without_a_worker_that_forwards_speaks_http_itself(runs: Runs) -> None:
    runs.relayed = False
    runs.write(PARENT)
    assert (await runs.run())[-1] != str(os.getpid())
    assert len(runs.api.calls) == 2


# When they are started cold


async def test_commands_are_started_cold(runs: Runs) -> None:
    runs.write(PARENT)
    job = {"command": f"{sys.executable} -P -m headgate.flows.engine"}
    assert await runs.run(configuration=job) == [str(os.getpid())]


async def test_no_run_fails_when_zygotes_cannot_be_started(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After some tries it is said, and not tried again for a while."""
    monkeypatch.setattr(zygotes, "ENGINE_ARGV", ("/bin/false",))
    runs.write(PARENT)
    assert {(await runs.run())[-1] for _ in range(4)} == {str(os.getpid())}
    assert caplog.text.count("Warm starts do not work here") == 1


async def test_a_zygote_that_forks_no_more_is_given_up(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was asked for is started cold, and will not begin a second time when it wakes up."""
    runs.write(
        f"open('executions', 'a').write('x')\n{PARENT}".replace("def go():", "def go(): open('runs', 'a').write('x');")
    )
    [parent] = await runs.run()
    monkeypatch.setattr(births, "_BIRTH_PATIENCE", 0.05)
    os.kill(int(parent), signal.SIGSTOP)
    assert await runs.run() == [str(os.getpid())]
    os.kill(int(parent), signal.SIGCONT)
    monkeypatch.undo()
    await gone(int(parent))
    assert (await runs.run())[-1] != str(os.getpid())
    assert (runs.directory / "runs").read_text() == "xxx"


async def test_a_working_directory_that_is_missing_is_the_error_of_a_cold_start(runs: Runs) -> None:
    """And nothing against warmth."""
    runs.write(PARENT)
    for _ in range(4):
        with pytest.raises(LaunchError, match="The working directory '/nowhere' does not exist"):
            await runs.start(directory="/nowhere")
    assert (await runs.run())[-1] != str(os.getpid())


async def test_a_missing_directory_is_reported_as_ever(runs: Runs) -> None:
    runs.write(PARENT)
    started = await runs.start(deployment={"path": str(runs.directory / "nowhere")})
    assert await started.ended() == 3
    assert "cannot enter the deployment's directory" in runs.api.history[started.id][-1].message


def test_other_systems_do_without(make: Callable[..., Runs], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.worker.infra.warm.sys.platform", "darwin")
    runs = make()
    runs.write(PARENT)
    assert runs.kind._warm is None


def test_it_can_be_switched_off(make: Callable[..., Runs]) -> None:
    runs: Any = make(worker_warm_processes=False)
    assert runs.kind._warm is None
