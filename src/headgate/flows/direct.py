"""Flows called directly: in this process, without a server."""

import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headgate.clock import now
from headgate.flows import outcomes
from headgate.flows.context import RunContext, enclosing, entered
from headgate.flows.deadlines import async_deadline, deadline, enforceable
from headgate.flows.hooks import call_hooks
from headgate.flows.prints import logged
from headgate.flows.run_logger import RunLogger, logger_of, show_on_console
from headgate.ids import uuid7
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateCreate

if TYPE_CHECKING:
    from headgate.flows.flow import Flow

_NO_FLOW = UUID(int=0)


def call(flow: "Flow[..., Any]", bound: inspect.BoundArguments) -> Any:
    """What the flow's function returns, after as many attempts as it takes; a coroutine of it for asynchronous flows.

    Inside of another run the call belongs to that run: it logs there and sees its context.
    """
    return _call_async(flow, bound) if flow.is_async else _call(flow, bound)


def _call(flow: "Flow[..., Any]", bound: inspect.BoundArguments) -> Any:
    with _scope(flow, bound) as scope:
        for pause in (*flow.retry_delays, None):
            try:
                scope.begin()
                with deadline(flow.timeout_seconds):
                    result = flow.fn(*bound.args, **bound.kwargs)
                break
            except Exception as error:
                if pause is None:
                    raise
                scope.announce_retry(error, pause)
                time.sleep(pause)
        return result


async def _call_async(flow: "Flow[..., Any]", bound: inspect.BoundArguments) -> Any:
    import asyncio  # 25 ms of start-up that synchronous flows are spared

    with _scope(flow, bound) as scope:
        for pause in (*flow.retry_delays, None):
            try:
                scope.begin()
                async with async_deadline(flow.timeout_seconds):
                    result = await flow.fn(*bound.args, **bound.kwargs)
                break
            except Exception as error:
                if pause is None:
                    raise
                scope.announce_retry(error, pause)
                await asyncio.sleep(pause)
        return result


@contextmanager
def _scope(flow: "Flow[..., Any]", bound: inspect.BoundArguments) -> Iterator["_Scope"]:
    """The run's context around its attempts; hooks are called when it ends, whichever way."""
    parent = enclosing()
    context = parent or _own_run(flow, bound)
    scope = _Scope(flow, context, nested=parent is not None)
    with entered(context), logged(flow.log_prints):
        try:
            yield scope
        except Exception as error:
            scope.end(outcomes.failed(error))
            raise
        except BaseException as error:
            scope.end(outcomes.crashed(f"Flow run was interrupted: {outcomes.describe(error)}"))
            raise
        scope.end(outcomes.completed())


def _own_run(flow: "Flow[..., Any]", bound: inspect.BoundArguments) -> RunContext:
    show_on_console()
    present = now()
    run = FlowRun(
        id=uuid7(present),
        created=present,
        updated=present,
        expected_start_time=present,
        name=flow.run_name(bound.arguments) or flow.name,
        flow_id=_NO_FLOW,
    )
    return RunContext(flow_name=flow.name, flow_run=run, parameters=dict(bound.arguments))


class _Scope:
    """One direct call with its attempts."""

    def __init__(self, flow: "Flow[..., Any]", context: RunContext, *, nested: bool) -> None:
        self._flow = flow
        self._context = context
        self._nested = nested
        if flow.timeout_seconds is not None and not flow.is_async and not enforceable():
            self._logger.warning(
                "Flow %r cannot be stopped after its %g s: only the main thread can be interrupted",
                flow.name,
                flow.timeout_seconds,
            )

    @property
    def _logger(self) -> RunLogger:
        return logger_of(self._context)

    def begin(self) -> None:
        if not self._nested:
            self._context.flow_run.run_count += 1

    def announce_retry(self, error: Exception, pause: float) -> None:
        self._logger.warning(
            "Flow %r failed and is tried again in %g s: %s", self._flow.name, pause, outcomes.describe(error)
        )

    def end(self, state: StateCreate) -> None:
        call_hooks(
            self._flow.hooks[state.type], self._flow, context=self._context, state=outcomes.recorded(state, now=now())
        )
