"""Executing one flow run: its code is loaded and called at its time, and what becomes of it is reported.

The outside is a `Reporter`, so that the same execution serves a process of its own and a warm one.
"""

import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

from headgate.clock import Clock, now
from headgate.errors import ConfigError, HeadgateError, Invalid
from headgate.flows import outcomes
from headgate.flows.attempt import attempt
from headgate.flows.context import RunContext, entered
from headgate.flows.flow import Flow
from headgate.flows.hooks import call_hooks
from headgate.flows.interrupts import Interrupts, Reason, Terminated
from headgate.flows.lease import kept
from headgate.flows.loading import NotLoaded, load_for_run
from headgate.flows.log_shipper import shipped
from headgate.flows.prefect_flows import PrefectFlow, needs_prefect
from headgate.flows.reporter import Assignment, Reporter
from headgate.flows.run_logger import logger_of
from headgate.schema.flow_runs import FlowRunPolicy, FlowRunUpdate
from headgate.schema.states import CrashReason, OrchestrationResult, OrchestrationStatus, State, StateCreate, StateType
from headgate.settings import Settings

_CANCELLED = (StateType.CANCELLING, StateType.CANCELLED)

EXIT_REPORTED = 0
"""Completed was reported, or the run is no longer this process's business."""
EXIT_FAILED = 1
"""Failed was reported."""
EXIT_CRASHED = 3
"""Crashed was reported: user code never ran."""
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_FLUSH_SECONDS = 15.0
_HASTY_FLUSH_SECONDS = 5.0
_LONGEST_SLEEP = 60.0
_SHORTEST_SLEEP = 0.02


class Execution:
    """Executes one run, once, in the main thread: `run()`.

    It holds the run's lease meanwhile, sends its logs, and obeys SIGTERM. Time is handed in: `clock` and `sleep`.
    """

    def __init__(
        self,
        reporter: Reporter,
        *,
        settings: Settings,
        clock: Clock = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reporter = reporter
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._interrupts = Interrupts()
        self._flow: Flow[..., Any] | None = None

    def run(self) -> int:
        """The exit code of a process that executes this run; see the `EXIT_` constants.

        Raises `HeadgateError` when the API does not answer or does not know the run.
        """
        with self._interrupts.installed():
            try:
                with self._interrupts.open():
                    self._adopt(self._reporter.fetch())
            except (Terminated, KeyboardInterrupt):
                self._propose(outcomes.crashed("Flow run was stopped before it began.", reason=CrashReason.PREEMPTED))
                return EXIT_TERMINATED
            with shipped(self._reporter.log, self._run.id, self._settings) as self._shipper:
                with kept(self._reporter.renew, stop=self._interrupts.stop, clock=self._clock):
                    code = self._perform()
                self._shipper.close(_HASTY_FLUSH_SECONDS if self._interrupts.reason else _FLUSH_SECONDS)
            return code

    def _adopt(self, assignment: Assignment) -> None:
        self._run = assignment.flow_run
        self._deployment = assignment.deployment
        self._flow_name = assignment.flow_name
        self._set_context(self._run.parameters)

    def _set_context(self, parameters: Mapping[str, Any]) -> None:
        self._context = RunContext(
            flow_name=self._flow_name, flow_run=self._run, deployment=self._deployment, parameters=parameters
        )
        self._logger = logger_of(self._context)

    def _perform(self) -> int:
        """From loading the flow to its last word."""
        try:
            with self._interrupts.open():
                if needs_prefect(self._deployment):
                    return self._leave_to_prefect(fetch=True)
                self._flow = load_for_run(self._run, self._deployment, logger=self._logger)
                if isinstance(self._flow, PrefectFlow):
                    return self._leave_to_prefect(fetch=False)
                bound = self._bind(self._flow)
            while True:
                with self._interrupts.open(), entered(self._context, whole_process=True):
                    if not self._begin():
                        return EXIT_REPORTED
                    outcome = self._attempt(self._flow, bound)
                if (code := self._conclude(outcome)) is not None:
                    return code
        except Terminated as stop:
            return self._stop(stop.reason, EXIT_TERMINATED)
        except KeyboardInterrupt:
            return self._stop(Reason.SIGNAL, EXIT_INTERRUPTED)
        except NotLoaded as error:
            return self._give_up(str(error))

    def _leave_to_prefect(self, *, fetch: bool) -> int:
        """The run is reported by Prefect's engine; this process only holds its lease meanwhile."""
        from headgate.flows.prefect_engine import execute, order  # pulls in what other runs do not need

        try:
            order(self._deployment, run_id=self._run.id, fence=self._reporter.fence, settings=self._settings, fetch=fetch)
        except ConfigError as error:
            raise NotLoaded(f"Flow could not be run: {error}") from error
        return self._interrupts.leave_to(lambda: execute(fetch=fetch, is_cancelled=self._is_cancelled))

    def _is_cancelled(self) -> bool:
        state = self._look()
        return state is not None and state.type in _CANCELLED

    def _bind(self, flow: Flow[..., Any]) -> inspect.BoundArguments | Exception:
        """The call that the run's parameters ask for, or what is wrong with them.

        When all is well the API is told what the flow says about its runs: one call, none when it says nothing.
        """
        try:
            bound = flow.bind_values(self._run.parameters)
        except (Invalid, TypeError) as error:
            return error
        changes = self._changes(flow, bound)
        if changes != FlowRunUpdate():
            self._reporter.update(changes)
        self._set_context(dict(bound.arguments))
        return bound

    def _changes(self, flow: Flow[..., Any], bound: inspect.BoundArguments) -> FlowRunUpdate:
        """What the flow says about its runs and the run does not say yet; a policy that the run has wins."""
        run, changes = self._run, FlowRunUpdate()
        if flow.retries and run.empirical_policy.retries is None:
            policy = FlowRunPolicy(retries=flow.retries, retry_delay=list(flow.retry_delays))
            run.empirical_policy = changes.empirical_policy = policy
        version = flow.options.get("version")
        if version is not None and version != run.flow_version:
            run.flow_version = changes.flow_version = version
        try:
            name = flow.run_name(bound.arguments)
        except Invalid as error:
            self._logger.warning("The run keeps its name: %s", error)
            return changes
        if name is not None and name != run.name:
            run.name = changes.name = name
        return changes

    def _begin(self) -> bool:
        """Have the run accepted as Running, at its time; false when it is not to be executed here."""
        result = self._propose(StateCreate(type=StateType.RUNNING))
        match result:
            case OrchestrationResult(status=OrchestrationStatus.ACCEPT):
                pass
            case OrchestrationResult(status=OrchestrationStatus.REJECT, state=State(type=StateType.RUNNING)):
                pass  # the answer to the first sending was lost on its way
            case _:
                return False
        self._run.run_count += 1
        self._run.state = result.state
        return True

    def _attempt(self, flow: Flow[..., Any], bound: inspect.BoundArguments | Exception) -> StateCreate:
        if isinstance(bound, Exception):
            message = f"The run's parameters do not fit the flow: {bound}"
            self._logger.error(message)
            return StateCreate(type=StateType.FAILED, message=message)
        return attempt(flow, bound, interrupts=self._interrupts, logger=self._logger)

    def _conclude(self, outcome: StateCreate) -> int | None:
        """Hooks, logs, then the proposal; None when the server has the run tried again.

        The server decides about retries; that the hooks come first needs a guess, made by the same rule.
        """
        failed = outcome.type is StateType.FAILED
        again = failed and self._run.run_count <= (self._run.empirical_policy.retries or 0)
        if not again:
            self._call_hooks(outcome)
        self._shipper.flush(_FLUSH_SECONDS)
        result = self._propose(outcome)
        match result.status, result.state:
            case OrchestrationStatus.ABORT, _:
                return EXIT_REPORTED
            case OrchestrationStatus.REJECT, State(type=StateType.SCHEDULED) as state if failed:
                self._announce_retry(state)
                return None
            case OrchestrationStatus.REJECT, State(type=StateType.CANCELLING) as state:
                return self._leave_cancelled(state)
        if again:
            self._call_hooks(outcome)
        return EXIT_FAILED if failed else EXIT_REPORTED

    def _call_hooks(self, outcome: StateCreate) -> None:
        """The hooks for this end. A stop meanwhile skips the rest of them: what the flow did, it did."""
        try:
            with self._interrupts.open():
                self._call_hooks_for(outcome.type, outcomes.recorded(outcome, now=self._clock()))
        except (Terminated, KeyboardInterrupt):
            self._logger.warning("Hooks were interrupted")

    def _call_hooks_for(self, kind: StateType, state: State) -> None:
        if self._flow is not None:
            call_hooks(self._flow.hooks[kind], self._flow, context=self._context, state=state)

    def _propose(self, state: StateCreate) -> OrchestrationResult:
        """The answer to a proposal, once it is not `WAIT` any more."""
        while True:
            result = self._reporter.propose(state)
            if result.status is not OrchestrationStatus.WAIT:
                return result
            self._sleep(_pause_until(result, self._clock))

    def _announce_retry(self, state: State) -> None:
        at = state.state_details.scheduled_time
        pause = max((at - self._clock()).total_seconds(), 0) if at else 0
        retries = self._run.empirical_policy.retries or 0
        self._logger.info("Retry %d of %d begins in %.3g s", self._run.run_count, retries, pause)

    def _stop(self, reason: Reason, code: int) -> int:
        """The end of a run that was told to stop."""
        state = self._look()
        if state is not None and state.type in _CANCELLED:
            return self._leave_cancelled(state)
        if reason is Reason.LOST:
            self._logger.warning("The run belongs to another holder now; this process leaves it")
            return EXIT_REPORTED
        cause = "SIGINT" if code == EXIT_INTERRUPTED else "SIGTERM"
        outcome = outcomes.crashed(f"Flow run was stopped from outside ({cause}).", reason=CrashReason.PREEMPTED)
        self._logger.error(outcome.message)
        # The hooks come first, while there is time, unless the server may give the run other infrastructure.
        may_go_on = self._deployment is not None and self._deployment.infra_retries is not None
        if not may_go_on:
            self._call_hooks_for(StateType.CRASHED, outcomes.recorded(outcome, now=self._clock()))
        self._shipper.flush(_HASTY_FLUSH_SECONDS)
        result = self._propose(outcome)
        if may_go_on and result.status is OrchestrationStatus.ACCEPT:
            self._call_hooks_for(StateType.CRASHED, outcomes.recorded(outcome, now=self._clock()))
            self._shipper.flush(_HASTY_FLUSH_SECONDS)
        return code

    def _look(self) -> State | None:
        try:
            return self._reporter.look()
        except HeadgateError:
            return None

    def _leave_cancelled(self, state: State) -> int:
        """Whoever started this process reports Cancelled once the process is gone."""
        self._call_hooks_for(StateType.CANCELLED, state)
        self._logger.info("Flow run was cancelled")
        return EXIT_TERMINATED

    def _give_up(self, cause: str) -> int:
        """The end of a run whose code never ran."""
        self._logger.error(cause)
        self._shipper.flush(_FLUSH_SECONDS)
        self._propose(outcomes.crashed(cause))
        return EXIT_CRASHED


def _pause_until(result: OrchestrationResult, clock: Clock) -> float:
    """Seconds until the server will accept: exact by the run's scheduled time, bounded by what the server says.

    The server gives whole seconds, so its word is only used where the two clocks differ.
    """
    told = float(result.details.delay_seconds or 0)
    at = result.state.state_details.scheduled_time if result.state else None
    if at is None:
        pause = max(told, 1.0)
    else:
        left = (at - clock()).total_seconds()
        pause = min(left, told + 1) if left > 0 else told - 1
    return min(max(pause, _SHORTEST_SLEEP), _LONGEST_SLEEP)
