"""Fixtures of the flows' tests: a home of their own, the fake API, and the console's and the logger's state put back."""

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headgate.flows import run_logger


def _load_fake_api() -> ModuleType:
    """Tests are imported without packages, so a module beside them is loaded by its path."""
    spec = importlib.util.spec_from_file_location("fake_api", Path(__file__).with_name("fake_api.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["fake_api"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake_api = _load_fake_api()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory without profiles, and no settings from outside."""
    for name in list(os.environ):
        if name.startswith(("HEADGATE_", "PREFECT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _run_logger() -> Iterator[None]:
    """The logger of runs as a fresh process has it."""
    yield
    run_logger.LOGGER.handlers.clear()
    run_logger.LOGGER.setLevel(logging.NOTSET)


@pytest.fixture
def api() -> Any:
    """An empty fake API."""
    return fake_api.FakeApi()


@pytest.fixture
def url(api: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The fake API over HTTP, and the settings that point to it."""
    with fake_api.served(api) as address:
        monkeypatch.setenv("HEADGATE_API_URL", address)
        yield address


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Writes a file of flows into the directory that is the present one; what it imports is forgotten afterwards."""
    directory = tmp_path / "code"
    directory.mkdir()
    monkeypatch.chdir(directory)
    paths, modules = list(sys.path), set(sys.modules)

    def write(text: str, name: str = "flows_under_test.py") -> Path:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    yield write
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if str(directory) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
