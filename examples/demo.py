"""The main job in one go: a server, a worker, a flow on a schedule, and its runs as they happen. Ctrl-C ends it all.

`python3 dev.py demo` installs what it needs and then starts this. Everything it makes lives in `.demo/` of the clone,
or in HEADGATE_HOME when that is set.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from demo_children import HEADGATE, Children, Trouble, alone
from demo_watch import Watch, say, short

EXAMPLES = Path(__file__).resolve().parent
POOL = "demo"
FLOW, DEPLOYMENT = "inventory", "every-ten-seconds"
DEFAULT_PORT = 4200
SECONDS_TO_START = 60.0
SECONDS_PER_RUN = 45.0


def main(arguments: Sequence[str]) -> int:
    """Run the demo; 0 when it was ended or has seen its runs, 1 when something went wrong."""
    options = parse(arguments)
    home = Path(os.environ.get("HEADGATE_HOME") or EXAMPLES.parent / ".demo").expanduser().resolve()
    say(f"Headgate demo. Everything it makes is in {short(home)}; Ctrl-C ends it.")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with alone(home) as lock:
            run(options, home, Children(home, inherited=lock))
    except KeyboardInterrupt:
        say("Stopped.")
    except Trouble as trouble:
        say(f"The demo has to stop: {trouble}")
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="dev.py demo", description="Start a server and a worker, and watch scheduled runs."
    )
    parser.add_argument("--until-completed", type=int, metavar="N", help="end, with exit code 0, after N completed runs")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="with --until-completed: give up after this long")
    parser.add_argument(
        "--port", type=int, help=f"port of the server (default: {DEFAULT_PORT}, or a free one if that is taken)"
    )
    return parser.parse_args(arguments)


def interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does."""
    raise KeyboardInterrupt


def run(options: argparse.Namespace, home: Path, children: Children) -> None:
    """Start everything, show runs, and stop everything in the end, whatever ends it."""
    port = choose_port(options.port)
    url = f"http://127.0.0.1:{port}/api"
    environment = surroundings() | {"HEADGATE_HOME": str(home), "HEADGATE_API_URL": url}
    with children, Watch(environment, flow=FLOW, deployment=DEPLOYMENT) as watch:
        children.start("server", ["server", "start", "--port", str(port)], environment)
        children.wait_until(watch.is_up, seconds=SECONDS_TO_START, what="the server to answer")
        say(f"API:      {url}")
        say(f"OpenAPI:  {url.removesuffix('/api')}/docs")
        if not watch.has_pool(POOL):
            headgate(environment, "work-pool", "create", POOL, "--type", "process")
        if stale := watch.cancel_stale_runs():
            say(f"Cancelled {stale} runs that an earlier demo did not get to.")
        reports = home / "inventory"
        if home.is_relative_to(EXAMPLES.parent):
            reports = Path(os.path.relpath(reports, EXAMPLES))
        headgate(environment, "deploy", "-n", DEPLOYMENT, "--param", f"path={reports}")
        children.start("worker", ["worker", "start", "--pool", POOL], environment)
        headgate(environment, "deployment", "run", f"{FLOW}/{DEPLOYMENT}")
        say("")
        say(f"The runs of {FLOW}/{DEPLOYMENT}, as they happen. To see one fail, in another terminal:")
        say(f"$ export HEADGATE_API_URL={url}")
        say(f"$ {short(Path(HEADGATE))} deployment run {FLOW}/{DEPLOYMENT} --param fail=true --watch")
        say("")
        follow(watch, children, wanted=options.until_completed, timeout=options.timeout)
        say(f"Completed runs: {watch.completed}. What the flow wrote is in {short(home / 'inventory')}.")


def surroundings() -> dict[str, str]:
    """The environment for all commands. In a home of its own the demo goes by none of the user's other settings."""
    own_home = not os.environ.get("HEADGATE_HOME")
    kept = {key: value for key, value in os.environ.items() if not (own_home and key.startswith(("HEADGATE_", "PREFECT_")))}
    return {"HEADGATE_WORKER_SHUTDOWN_GRACE_SECONDS": "5", "PYTHONUNBUFFERED": "1"} | kept


def headgate(environment: Mapping[str, str], *arguments: str) -> None:
    """Run one command, shown as a person would type it; what it prints is shown only when it fails."""
    say(f"$ {shlex.join(['headgate', *arguments])}")
    done = subprocess.run([HEADGATE, *arguments], env=environment, cwd=EXAMPLES, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"that command ended with exit code {done.returncode}.\n{done.stdout}{done.stderr}".rstrip())


def follow(watch: Watch, children: Children, *, wanted: int | None, timeout: float | None) -> None:
    """Show runs until `wanted` are completed; for ever when no number was asked for."""
    deadline = time.monotonic() + (timeout or SECONDS_TO_START + SECONDS_PER_RUN * (wanted or 0))
    while True:
        children.check()
        watch.show_news()
        if wanted is not None and watch.completed >= wanted:
            return
        if wanted is not None and time.monotonic() > deadline:
            raise Trouble(f"only {watch.completed} of {wanted} runs completed in time.\n{children.last_words()}")
        time.sleep(0.25)


def choose_port(wanted: int | None) -> int:
    """`wanted`, else the default port, else any that is free; `Trouble` when the wanted one is not."""
    if wanted and not is_free(wanted):
        raise Trouble(f"port {wanted} is taken. Leave out --port, and a free one is found.")
    return wanted or (DEFAULT_PORT if is_free(DEFAULT_PORT) else free_port())


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
