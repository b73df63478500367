"""`Flow`: a named program made of a Python function, and `@flow`, which makes one."""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload
from uuid import UUID

import msgspec

from headgate.errors import Invalid
from headgate.flows import direct
from headgate.flows.hooks import Hook
from headgate.flows.parameters import Parameters
from headgate.schema.flows import Name
from headgate.schema.states import StateType

if TYPE_CHECKING:
    from headgate.flows.plans import DeploymentOptions, DeploymentPlan
    from headgate.flows.serve import ServeOptions

P = ParamSpec("P")
R = TypeVar("R")

RetryDelay = float | Sequence[float] | Callable[[int], Sequence[float]]


class FlowOptions(TypedDict, total=False):
    """What may be said about a flow, beside its function. Durations are in seconds.

    - `name`: by default the function's, with `-` for `_`; `description`: its docstring; `version`: a hash of its file.
    - `retries`: how often a failed run is tried again; `retry_delay_seconds`: the pause before each retry, one number,
      a list (its last item repeats) or `exponential_backoff(…)`.
    - `timeout_seconds`: how long one attempt may take.
    - `log_prints`: what the flow prints becomes lines of its log.
    - `validate_parameters`: check and convert parameters by their type hints.
    - `flow_run_name`: a format string over the parameters, such as `"load-{table}"`.
    - `on_completion`, `on_failure`, `on_cancellation`, `on_crashed`: functions called with (flow, flow_run, state).
    """

    name: str | None
    description: str | None
    version: str | None
    retries: int
    retry_delay_seconds: RetryDelay
    timeout_seconds: float | None
    log_prints: bool
    validate_parameters: bool
    flow_run_name: str | None
    on_completion: Sequence[Hook]
    on_failure: Sequence[Hook]
    on_cancellation: Sequence[Hook]
    on_crashed: Sequence[Hook]


class Flow(Generic[P, R]):
    """A function that can be run here by calling it, or anywhere by deploying it.

    A call needs no server: it returns what the function returns (a coroutine when that is asynchronous) and raises
    what it raises once retries are used up.
    """

    def __init__(self, fn: Callable[P, R], /, **options: Unpack[FlowOptions]) -> None:
        _check_options(options)
        update_wrapper(self, fn)
        self.fn = fn
        self.options = options
        self.name: str = options.get("name") or _name_of(fn)
        self.description: str | None = options.get("description") or inspect.getdoc(fn)
        self.retry_delays: tuple[float, ...] = _delays(options.get("retries", 0), options.get("retry_delay_seconds", 0))
        self.timeout_seconds: float | None = options.get("timeout_seconds")
        self.log_prints: bool = options.get("log_prints", False)
        self.validate_parameters: bool = options.get("validate_parameters", True)
        self.hooks: Mapping[StateType, tuple[Hook, ...]] = {
            StateType.COMPLETED: tuple(options.get("on_completion", ())),
            StateType.FAILED: tuple(options.get("on_failure", ())),
            StateType.CANCELLED: tuple(options.get("on_cancellation", ())),
            StateType.CRASHED: tuple(options.get("on_crashed", ())),
        }
        code = getattr(inspect.unwrap(fn), "__code__", None)
        self.file: str | None = os.path.abspath(code.co_filename) if code is not None else None
        try:
            msgspec.convert(self.name, Name)
        except msgspec.ValidationError:
            raise Invalid(f"A flow's name has no / % & > < in it: {self.name!r}.", field="name", value=self.name) from None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run here, in this process."""
        return cast(R, direct.call(self, self.bind(args, kwargs)))

    def __get__(self, instance: Any, owner: type | None = None) -> "Flow[..., R]":
        """On an instance: the flow of the bound method."""
        if instance is None:
            return self
        options: FlowOptions = self.options | {"name": self.name}
        return Flow(MethodType(self.fn, instance), **options)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r} of {self.fn!r}>"

    def __reduce__(self) -> str:
        """Pickled by where it is found, as functions are."""
        return cast(str, self.__qualname__)  # type: ignore[attr-defined]

    @property
    def retries(self) -> int:
        """How often a failed run is tried again."""
        return len(self.retry_delays)

    @property
    def is_async(self) -> bool:
        """Whether a call returns a coroutine."""
        return inspect.iscoroutinefunction(self.fn)

    @cached_property
    def parameters(self) -> Parameters:
        """What the function takes."""
        return Parameters(self.fn)

    @cached_property
    def version(self) -> str | None:
        """As given, else a hash of the source file; None when there is no file."""
        given = self.options.get("version")
        if given is not None or self.file is None or not os.path.isfile(self.file):
            return given
        import hashlib  # 3 ms of start-up that only deploying is worth

        with open(self.file, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()[:16]

    def with_options(self, **options: Unpack[FlowOptions]) -> "Flow[P, R]":
        """The same flow with some options changed."""
        return Flow(self.fn, **(self.options | options))

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """A call's arguments, checked as the flow asks; `Invalid` when they do not fit."""
        bound = self.parameters.bind(args, kwargs)
        return self.parameters.checked(bound) if self.validate_parameters else bound

    def bind_values(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        """The call that a run's parameters ask for; `Invalid` when they do not fit."""
        bound = self.parameters.bind_values(values)
        return self.parameters.checked(bound) if self.validate_parameters else bound

    def run_name(self, parameters: Mapping[str, Any]) -> str | None:
        """The name that `flow_run_name` gives a run with these parameters; `Invalid` when it cannot be formed."""
        template = self.options.get("flow_run_name")
        if template is None:
            return None
        try:
            return template.format(**{"flow_name": self.name, **parameters})
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise Invalid(f"flow_run_name {template!r} cannot be formed from the parameters: {error!r}.") from error

    def to_deployment(self, name: str, **options: "Unpack[DeploymentOptions]") -> "DeploymentPlan":
        """A deployment of this flow, to be given to `deploy(…)` or `serve(…)`; nothing is sent yet."""
        from headgate.flows.plans import plan  # pulls in the client, which running a flow does not need

        return plan(self, name, **options)

    def deploy(self, name: str, *, print_next_steps: bool = True, **options: "Unpack[DeploymentOptions]") -> UUID:
        """Create or replace a deployment of this flow on a work pool, and answer its id.

        `path` is the present directory and `entrypoint` the function's place below it, unless they are given.
        """
        from headgate.flows.deploy import deploy  # pulls in the client, which running a flow does not need

        return deploy(self.to_deployment(name, **options), print_next_steps=print_next_steps)[0]

    def serve(self, name: str, **options: "Unpack[ServeOptions]") -> None:
        """Deploy without a work pool and run what falls due, in child processes of this one, until it is stopped."""
        from headgate.flows.serve import serve_flow  # pulls in the client, which running a flow does not need

        serve_flow(self, name, **options)


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(fn: None = None, /, **options: Unpack[FlowOptions]) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowOptions]) -> Any:
    """Make a function a flow: `@flow`, or `@flow(name=…, retries=…, …)`; see `FlowOptions`."""
    return (lambda function: Flow(function, **options)) if fn is None else Flow(fn, **options)


def exponential_backoff(factor: float) -> Callable[[int], Sequence[float]]:
    """For `retry_delay_seconds`: pauses of `factor`, 2 × `factor`, 4 × `factor`, … seconds."""
    if factor < 0:
        raise Invalid(f"A pause cannot be negative: factor={factor}.", field="factor", value=factor)
    return lambda retries: [factor * 2**attempt for attempt in range(retries)]


def as_flow(program: Callable[..., Any]) -> Flow[..., Any]:
    """`program` itself when it is a flow, else a flow of it."""
    return program if isinstance(program, Flow) else Flow(program)


def _check_options(options: FlowOptions) -> None:
    unknown = set(options) - set(FlowOptions.__annotations__)
    if unknown:
        known = ", ".join(FlowOptions.__annotations__)
        raise TypeError(f"A flow has no option {', '.join(sorted(unknown))}; it has {known}.")
    timeout = options.get("timeout_seconds")
    if timeout is not None and timeout <= 0:
        raise Invalid(f"timeout_seconds must be above 0, not {timeout}.", field="timeout_seconds", value=timeout)
    for kind in ("on_completion", "on_failure", "on_cancellation", "on_crashed"):
        hooks = options.get(kind, ())
        if not isinstance(hooks, Iterable) or not all(map(callable, hooks)):
            raise TypeError(f"{kind} takes a list of functions, not {hooks!r}.")


def _name_of(fn: Callable[..., Any]) -> str:
    name: str = getattr(fn, "__name__", None) or type(fn).__name__
    return name.strip("<>").replace("_", "-")


def _delays(retries: int, delay: RetryDelay) -> tuple[float, ...]:
    """The pause before each retry."""
    if retries < 0:
        raise Invalid(f"retries must be 0 or more, not {retries}.", field="retries", value=retries)
    match delay:
        case int() | float():
            delays = [float(delay)] * retries
        case _:
            listed = list(delay(retries) if callable(delay) else delay)
            delays = [float(listed[min(attempt, len(listed) - 1)]) if listed else 0.0 for attempt in range(retries)]
    if any(pause < 0 for pause in delays):
        raise Invalid(f"retry_delay_seconds cannot be negative: {delays}.", field="retry_delay_seconds", value=delays)
    return tuple(delays)
