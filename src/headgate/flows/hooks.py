"""Hooks: a flow's functions that are told how a run ended."""

import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from headgate.flows.context import RunContext, entered
from headgate.flows.run_logger import logger_of
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import State

Hook = Callable[[Any, FlowRun, State], Any]
"""Called with the flow, the run and the state; may be a coroutine function."""


def call_hooks(hooks: Iterable[Hook], flow: Any, *, context: RunContext, state: State) -> None:
    """Call each hook in order, inside the run's context; one that raises is logged and changes nothing else."""
    for hook in hooks:
        with entered(context):
            try:
                answer = hook(flow, context.flow_run, state)
                if inspect.iscoroutine(answer):
                    _finish(answer)
            except Exception:
                name = getattr(hook, "__name__", repr(hook))
                logger_of(context).exception("Hook %r failed; the run stays %s", name, state.name)


def _finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine to its end, in a thread of its own when this one's event loop is busy."""
    import asyncio  # 25 ms of start-up that synchronous flows are spared

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="headgate-hook")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
