"""Every command of every release is run by a test, or is named with the reason why none does."""

import subprocess
from pathlib import Path

import pytest
from bench.environments import FOLDER, install_client
from left_out import LEFT_OUT, chief, uncovered
from prefect_client import client_environment, plain_environment
from scenario import ALL
from table import declared

LISTING = Path(__file__).with_name("prefect_listing.py")


def commands_of(release: str, home: Path) -> list[str]:
    """Its commands, under every name that they go by."""
    python = install_client(FOLDER, release, print).program("python")
    env = plain_environment() | client_environment(home, "http://127.0.0.1:9/api")
    return subprocess.check_output([str(python), str(LISTING)], env=env, text=True).splitlines()


@pytest.mark.extended
@pytest.mark.parametrize("release", ALL)
def test_no_command_is_forgotten(release: str, tmp_path: Path) -> None:
    covered = {each for each, with_release in declared() if with_release == release}
    commands = commands_of(release, tmp_path)
    assert len(commands) > 100
    assert uncovered(commands, covered) == []
    assert covered & {"deploy", "worker start", "event stream"} <= {chief(each) for each in commands}


@pytest.mark.extended
def test_a_reason_stands_for_a_command_that_is_there(tmp_path: Path) -> None:
    names = {chief(each) for release in ALL for each in commands_of(release, tmp_path)}
    idle = [each for each in LEFT_OUT if not any(name == each or name.startswith(f"{each} ") for name in names)]
    assert idle == []
