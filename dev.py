"""The commands of a clone: `python3 dev.py demo` shows the main job, `python3 dev.py check` runs what CI runs.

Needs Python 3.11 and pip, nothing else: each makes `.venv` beside this file and installs what the lock files name.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
RUNTIME_LOCK = ROOT / "requirements.lock"
DEVELOPMENT_LOCK = ROOT / "requirements-dev.lock"
WORKERS = min(os.cpu_count() or 1, 4)
"""Processes that share the tests; each has a PostgreSQL of its own."""
BUILD_REQUIREMENTS = "hatchling\neditables\n"
"""What building this project takes; locked with the rest, so that nothing is fetched beside the locks."""
USAGE = """Usage: python3 dev.py COMMAND [ARGUMENTS]

  demo    install, start a server and a worker, and watch real runs (demo --help tells its options)
  check   install, then check format, lint, types, floors and tests, as CI does
          [--fast] leaves out the tests that start real processes; other arguments go to pytest
  clients run all tests with real clients, also those that check leaves out because they take minutes, and write the
          compatibility table from what they saw; arguments go to pytest
  bench   install, then measure Headgate side by side with the peer (bench --help tells its options)
  pages   install, then open the peer's web pages in a browser, against our API
  lock    write the lock files anew; needs uv, which gets the arguments, such as --upgrade"""


def main(arguments: Sequence[str]) -> int:
    """Run one command; answers its exit code."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        say(USAGE)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    try:
        return command(arguments[1:])
    except Failed as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


class Failed(Exception):
    """The command cannot go on; the message says why and what to do."""


def demo(rest: Sequence[str]) -> int:
    """Install what the program needs, then become `examples/demo.py`."""
    install(RUNTIME_LOCK)
    return become([str(PYTHON), str(ROOT / "examples" / "demo.py"), *rest])


def check(rest: Sequence[str]) -> int:
    """Every check in turn, the quick ones first; stops at the first that fails."""
    install(DEVELOPMENT_LOCK)
    chosen = "not e2e" if "--fast" in rest else "not extended"
    steps = {
        "format": ["ruff", "format", "--check", "."],
        "lint": ["ruff", "check", "."],
        "types": ["mypy"],
        "floors": ["lint-imports"],
        "tests": [
            "pytest",
            "--numprocesses",
            str(WORKERS),
            "-m",
            chosen,
            *(argument for argument in rest if argument != "--fast"),
        ],
    }
    for name, command in steps.items():
        say(f"{name}: {' '.join(command)}")
        start = time.monotonic()
        code = subprocess.call([PYTHON.with_name(command[0]), *command[1:]], cwd=ROOT)
        if code != 0:
            raise Failed(f"{name} failed with exit code {code}, after {time.monotonic() - start:.1f} s.")
        if name != "tests":  # the test runner's closing line is the last
            say(f"{name}: passed in {time.monotonic() - start:.1f} s")
    return 0


def clients(rest: Sequence[str]) -> int:
    """Run the real clients of `tests/clients`, and write what they did into `docs/reference/compatibility.md`."""
    install(DEVELOPMENT_LOCK)
    report = ROOT / ".bench" / "clients.xml"
    command = [PYTHON.with_name("pytest"), "tests/clients", "--numprocesses", str(WORKERS), f"--junit-xml={report}", *rest]
    code = subprocess.call(command, cwd=ROOT)
    return subprocess.call([PYTHON, "tests/clients/table.py", str(report)], cwd=ROOT) or code


def bench(rest: Sequence[str]) -> int:
    """Install what the tests need, then become the package `bench`."""
    install(DEVELOPMENT_LOCK)
    os.chdir(ROOT)
    return become([str(PYTHON), "-m", "bench", *rest])


def pages(rest: Sequence[str]) -> int:
    """Install what the tests need, then become `bench.pages`."""
    install(DEVELOPMENT_LOCK)
    os.chdir(ROOT)
    return become([str(PYTHON), "-m", "bench.pages", *rest])


def lock(rest: Sequence[str]) -> int:
    """Write both lock files anew, for every platform and Python that the project supports."""
    if shutil.which("uv") is None:
        raise Failed("Writing the locks needs uv: install it with `python3 -m pip install uv`.")
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--python-version", ".".join(map(str, OLDEST)), "pyproject.toml", "-", *rest]
    for file, extra in ((DEVELOPMENT_LOCK, ["--group", "dev"]), (RUNTIME_LOCK, ["--constraints", DEVELOPMENT_LOCK.name])):
        subprocess.run([*command, *extra, "-o", file.name], cwd=ROOT, input=BUILD_REQUIREMENTS, text=True, check=True)
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": demo,
    "check": check,
    "clients": clients,
    "bench": bench,
    "pages": pages,
    "lock": lock,
}


def install(lock: Path) -> None:
    """Bring `.venv` to what `lock` names, with this project linked into it; nothing is done when it is there already."""
    stamp = VENV / f".installed-{lock.stem}"
    if environment_works() and stamp.exists() and stamp.read_text() == fingerprint(lock):
        return
    start = time.monotonic()
    if not environment_works():
        make_environment()
    pip = find_pip()
    count = lock.read_text().count("==")
    say(f"Installing up to {count} packages from {lock.name} into {VENV.name}; the first time takes about half a minute ...")
    run_pip([*pip, "install", "--no-deps", "--requirement", str(lock)], count=count)
    say("Linking this clone into it ...")
    run_pip([*pip, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], count=1)
    stamp.write_text(fingerprint(lock))
    say(f"Installed in {time.monotonic() - start:.0f} s.")


def fingerprint(lock: Path) -> str:
    """Changes when an install would."""
    parts = [lock, ROOT / "pyproject.toml", ROOT / "src" / "headgate" / "__init__.py"]
    return hashlib.sha256(b"\0".join([str(ROOT).encode(), *(part.read_bytes() for part in parts)])).hexdigest()


def environment_works() -> bool:
    """Whether `.venv` holds an interpreter that starts and is new enough."""
    if not PYTHON.exists():
        return False
    return succeeds([str(PYTHON), "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"])


def make_environment() -> None:
    """An environment without a pip of its own: the one that runs us installs into it, which saves seconds."""
    say(f"Making {VENV.name} with Python {sys.version.split()[0]} ...")
    try:
        import venv  # some systems leave it out
    except ImportError:
        raise Failed(
            "This Python has no `venv` module. Install the system's package (python3-venv on Debian); then run this again."
        ) from None
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(VENV)


def find_pip() -> list[str]:
    """How to call a pip that installs into `.venv`: its own, else the one of the Python that runs us."""
    own = [str(PYTHON), "-m", "pip"]
    for command in (own, [sys.executable, "-m", "pip", "--python", str(PYTHON)]):
        if succeeds([*command, "--version"]):
            return command
    if succeeds([str(PYTHON), "-m", "ensurepip"]):
        return own
    raise Failed(
        f"{sys.executable} has no pip (22.3 or newer) and no `ensurepip`. Install your system's package for it"
        " (python3-pip on Debian), then try again."
    )


def succeeds(command: Sequence[str]) -> bool:
    """Whether `command` ends well; what it prints is dropped."""
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def run_pip(command: Sequence[str], *, count: int) -> None:
    """Run pip and say how far it is; what it prints is shown only when it fails."""
    environment = os.environ | {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    output: list[str] = []
    seen = 0
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            output.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied")):
                seen += 1
                if seen % 20 == 0:
                    say(f"  {seen} of {count} ready")
            elif count > 1 and line.startswith("Installing collected packages"):
                say("  all here; unpacking ...")
    if pip.returncode != 0:
        print("".join(output[-60:]), flush=True)
        raise Failed(
            f"pip ended with exit code {pip.returncode}; what it said stands above. Is a package index within reach?"
        )


def become(command: list[str]) -> int:
    """Replace this process by `command`, so that signals reach it; where that cannot be done, answer its exit code."""
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.call(command)


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit(f"Headgate needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    sys.exit(main(sys.argv[1:]))
