"""Real processes for the tests beside it: each test gets a home, a project and a free port of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the package `bench`
sys.path.insert(0, str(Path(__file__).parent))

from real_system import System


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for a system is an end-to-end test."""
    for item in items:
        if isinstance(item, pytest.Function) and "system" in item.fixturenames:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """An empty system: nothing runs yet. In the end every process that works for it is killed."""
    with System(tmp_path) as made:
        yield made


@pytest.fixture
def running(system: System) -> System:
    """A system with a server, and a work pool `local` of type process."""
    system.start_server()
    system.headgate("work-pool", "create", "local", "--type", "process")
    return system
