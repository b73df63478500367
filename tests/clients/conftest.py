"""Real clients for the tests beside it: each release in an environment of its own, all at one server that starts empty."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.environments import FOLDER, Environment, install_client
from prefect_client import GROUPS, Driver, Prefect
from project_files import with_project
from real_system import System

from headgate.client.calls import admin
from headgate.schema.admin import Confirmation

EnvironmentOf = Callable[[str], Environment]
DriverOf = Callable[[str], Driver]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this takes real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def environment_of() -> EnvironmentOf:
    """Gives the environment of a release, which is made once."""
    return lambda release: install_client(FOLDER, release, print)


@pytest.fixture(scope="session")
def driver_of(environment_of: EnvironmentOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverOf]:
    """Gives the process that runs a release's commands."""
    started: dict[str, Driver] = {}

    def start(release: str) -> Driver:
        if release not in started:
            home = tmp_path_factory.mktemp(f"client-{release}")
            started[release] = Driver(environment_of(release).program("python"), home)
        return started[release]

    yield start
    for driver in started.values():
        driver.close()


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server on SQLite that stands for all tests of this process."""
    with System(tmp_path_factory.mktemp("standing")) as system:
        system.start_server()
        yield system


@pytest.fixture
def emptied(standing: System) -> System:
    """The server, with nothing in its database."""
    standing.client.send(admin.clear_database(Confirmation(confirm=True)))
    return standing


@pytest.fixture
def connect(
    release: str, driver_of: DriverOf, environment_of: EnvironmentOf, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[System], Prefect]]:
    """Points the release at a system. In the end the test must have run all the commands that it says it covers."""
    made: list[Prefect] = []
    programs = environment_of(release).program("prefect").parent

    def connect(system: System) -> Prefect:
        made.append(Prefect(release, programs, driver_of(release), system, tmp_path / "prefect"))
        return made[-1]

    yield connect
    for client in made:
        client.close()
    [marker] = list(request.node.iter_markers("covers"))
    said = {each for each in marker.args if each.split()[0] in GROUPS and ":" not in each}
    missing = said - {command for each in made for command in each.ran}
    assert not missing or request.node.stash.get(FAILED, False), f"{sorted(missing)} were not run"


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note that a test failed, so that what it could not run is not counted against it once more."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def recorded(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """What the table is made of goes into the report of the run (`--junit-xml`)."""
    for marker in request.node.iter_markers("covers"):
        record_property("release", request.node.callspec.params["release"])
        for each in marker.args:
            record_property("covers", each)


@pytest.fixture
def prefect(connect: Callable[[System], Prefect], emptied: System) -> Prefect:
    """A release at an empty server, in an empty directory."""
    return connect(emptied)


@pytest.fixture
def at_own(connect: Callable[[System], Prefect], tmp_path: Path) -> Iterator[Callable[..., Prefect]]:
    """Gives the release at a server of the test's own on SQLite, with settings by their short names."""
    with ExitStack() as stack:

        def start(**settings: object) -> Prefect:
            root = tmp_path / "system"
            root.mkdir()
            system = stack.enter_context(System(root))
            system.start_server(**settings)
            return connect(system)

        yield start


@pytest.fixture
def deployed(prefect: Prefect) -> Prefect:
    """A client that has deployed the project to a pool `local`."""
    return with_project(prefect)


@pytest.fixture
def on_own(connect: Callable[[System], Prefect], tmp_path: Path, empty_url: str) -> Iterator[Prefect]:
    """The same, at a server of the test's own, on either kind of database."""
    root = tmp_path / "system"
    root.mkdir()
    with System(root) as system:
        system.start_server(server_database_connection_url=empty_url)
        yield with_project(connect(system))
