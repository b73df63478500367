"""One call of a flow's function for a run, and the state that its end means."""

import inspect
from collections.abc import Coroutine
from typing import Any

from headgate.flows import outcomes
from headgate.flows.deadlines import async_deadline, deadline
from headgate.flows.flow import Flow
from headgate.flows.interrupts import Interrupts, Terminated
from headgate.flows.prints import logged
from headgate.flows.run_logger import RunLogger
from headgate.schema.states import StateCreate


def attempt(
    flow: Flow[..., Any], bound: inspect.BoundArguments, *, interrupts: Interrupts, logger: RunLogger
) -> StateCreate:
    """Call the function within its time limit; Completed, or Failed with the traceback in the log.

    `SystemExit` counts as a return when its code is 0 or None. Lets `Terminated` and `KeyboardInterrupt` through.
    """
    try:
        with logged(flow.log_prints):
            with deadline(flow.timeout_seconds):
                result = flow.fn(*bound.args, **bound.kwargs)
            if inspect.iscoroutine(result):
                _drive(result, flow.timeout_seconds, interrupts)
    except (Terminated, KeyboardInterrupt):
        raise
    except SystemExit as error:
        return outcomes.failed(error) if error.code else outcomes.completed()
    except BaseException as error:
        logger.error("Flow run encountered an exception:\n%s", outcomes.trace(error))
        return outcomes.failed(error)
    return outcomes.completed()


def _drive(coroutine: Coroutine[Any, Any, Any], timeout: float | None, interrupts: Interrupts) -> None:
    """Run a coroutine; a stop cancels it, so that it can clean up."""
    import asyncio  # 25 ms of start-up that synchronous flows are spared

    async def drive() -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        with interrupts.redirected(lambda: loop.call_soon_threadsafe(task.cancel)):
            interrupts.check()
            async with async_deadline(timeout):
                await coroutine

    try:
        asyncio.run(drive())
    except asyncio.CancelledError:
        interrupts.check()
        raise
    finally:
        coroutine.close()
