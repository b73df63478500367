"""Which run the present code belongs to, and `runtime`, through which user code asks about it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """A run that is under way. `parameters` are the values that the function was called with."""

    flow_name: str
    flow_run: FlowRun
    deployment: Deployment | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


_own: ContextVar[RunContext | None] = ContextVar("headgate_run", default=None)
_entered: list[RunContext] = []
_whole_process: list[RunContext] = []


def current() -> RunContext | None:
    """The run that this code belongs to.

    Threads start with an empty context; those of a flow belong to the run that was entered last.
    """
    context = enclosing()
    if context is None and _entered and threading.current_thread() is not threading.main_thread():
        return _entered[-1]
    return context


def enclosing() -> RunContext | None:
    """The run that a flow called here would be part of; unlike `current`, nothing is guessed."""
    return _own.get() or (_whole_process[-1] if _whole_process else None)


@contextmanager
def entered(context: RunContext, *, whole_process: bool = False) -> Iterator[RunContext]:
    """Inside, `current()` answers `context`; with `whole_process` in every thread, as for the one run of an engine."""
    lists = (_entered, _whole_process) if whole_process else (_entered,)
    token = _own.set(context)
    for each in lists:
        each.append(context)
    try:
        yield context
    finally:
        for each in lists:
            each.remove(context)
        _own.reset(token)


class _FlowRunView:
    """The present run; every answer is None, or empty, outside of a run."""

    @property
    def id(self) -> str | None:
        """Its id, as text."""
        context = current()
        return str(context.flow_run.id) if context else None

    @property
    def name(self) -> str | None:
        """Its name."""
        context = current()
        return context.flow_run.name if context else None

    @property
    def scheduled_start_time(self) -> datetime | None:
        """When it was meant to start."""
        context = current()
        if context is None:
            return None
        return context.flow_run.expected_start_time or context.flow_run.created

    @property
    def parameters(self) -> dict[str, Any]:
        """What the flow was called with, by name."""
        context = current()
        return dict(context.parameters) if context else {}

    @property
    def run_count(self) -> int | None:
        """Which attempt this is; the first is 1."""
        context = current()
        return context.flow_run.run_count if context else None

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        context = current()
        return list(context.flow_run.tags) if context else []


class _DeploymentView:
    """The deployment of the present run; every answer is None when there is none."""

    @property
    def id(self) -> str | None:
        """Its id, as text."""
        deployment = self._record()
        return str(deployment.id) if deployment else None

    @property
    def name(self) -> str | None:
        """Its name, without the flow's."""
        deployment = self._record()
        return deployment.name if deployment else None

    @staticmethod
    def _record() -> Deployment | None:
        context = current()
        return context.deployment if context else None


class Runtime:
    """What user code may ask about the run that it is in."""

    flow_run = _FlowRunView()
    deployment = _DeploymentView()

    @property
    def flow_name(self) -> str | None:
        """The flow's name; None outside of a run."""
        context = current()
        return context.flow_name if context else None


runtime = Runtime()
