"""The lock files: what a clone installs is what the project asks for, whole and from anywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    """Version by name."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def unmet(requirements: list[str], lock: str) -> list[str]:
    """Requirements that the lock does not hold in a version that they allow."""
    held = pins(lock)
    wanted = [Requirement(line) for line in requirements]
    return [
        str(each)
        for each in wanted
        if (version := held.get(canonicalize_name(each.name))) is None or not each.specifier.contains(version)
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_program_and_its_build_need(project: dict[str, Any], lock: str) -> None:
    """After a change of pyproject.toml: `python3 dev.py lock`."""
    assert not unmet([*project["project"]["dependencies"], *project["build-system"]["requires"]], lock)


def test_the_development_lock_holds_the_development_group(project: dict[str, Any]) -> None:
    assert not unmet(project["dependency-groups"]["dev"], "requirements-dev.lock")


def test_both_locks_name_the_same_versions() -> None:
    """So that an install of one leaves the other's in place."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_hashes_and_no_place(lock: str) -> None:
    """Any mirror will do, as long as the files are the same."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert not re.findall(r"^[^\s#].*[^\\]$", text, re.MULTILINE), "every pin goes on with its hashes"
