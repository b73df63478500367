"""Worker types are found by their entry points; broken ones are named and do no harm."""

import logging
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from headgate.errors import ConfigError
from headgate.testing import WorkerTypeSuite
from headgate.worker import types
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.types import WorkerType, installed_types, worker_type

GROUP = types.GROUP


class TestProcess(WorkerTypeSuite):
    """The process type keeps the promises of all types."""

    def make(self) -> WorkerType:
        return ProcessInfrastructure()


@pytest.fixture
def broken_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside `process`: one whose module is missing, one that fails when it is made."""
    found = EntryPoints(
        [
            EntryPoint("process", "headgate.worker.infra.process:ProcessInfrastructure", GROUP),
            EntryPoint("absent", "no_such_module:Thing", GROUP),
            EntryPoint("fragile", "headgate.errors:Invalid", GROUP),
        ]
    )

    def entry_points(**chosen: Any) -> EntryPoints:
        return found.select(**chosen)

    monkeypatch.setattr(types, "entry_points", entry_points)


def test_the_process_type_is_installed() -> None:
    assert isinstance(installed_types()["process"], ProcessInfrastructure)
    assert isinstance(worker_type("process"), ProcessInfrastructure)


@pytest.mark.usefixtures("broken_plug_ins")
def test_broken_plug_ins_are_reported_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(installed_types()) == ["process"]
    said = caplog.text
    assert "'absent' cannot be used: no_such_module:Thing raised ModuleNotFoundError" in said
    assert "'fragile' cannot be used: headgate.errors:Invalid raised TypeError" in said


@pytest.mark.usefixtures("broken_plug_ins")
def test_asking_for_a_type_that_is_not_there_or_broken_says_so() -> None:
    with pytest.raises(ConfigError, match="no worker type 'docker' here; installed: absent, fragile, process"):
        worker_type("docker")
    with pytest.raises(ConfigError, match=r"'absent' cannot be used: .* No module named 'no_such_module'"):
        worker_type("absent")


def test_the_default_template_has_the_shape_that_existing_clients_know() -> None:
    template = ProcessInfrastructure().default_base_job_template()
    names = ["command", "env", "labels", "name", "stream_output", "working_dir"]
    assert sorted(template["job_configuration"]) == names
    assert sorted(template["variables"]["properties"]) == names
    assert template["job_configuration"]["env"] == "{{ env }}"
    assert template["variables"]["properties"]["stream_output"]["default"] is True
