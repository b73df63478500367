"""`@flow`: options, and what a direct call does without any server."""

import asyncio
import functools
import logging
import pickle
import threading
from typing import Any

import pytest

import headgate
from headgate import Flow, flow, get_run_logger, runtime
from headgate.errors import Invalid
from headgate.flows.deadlines import TimedOut
from headgate.flows.flow import as_flow, exponential_backoff
from headgate.flows.run_logger import NotInRun


@flow
def load_table(table: str = "t"):
    """Loads one."""
    return table


def test_names_descriptions_and_versions_have_defaults() -> None:
    assert load_table.name == "load-table"
    assert load_table.description == "Loads one."
    assert len(load_table.version or "") == 16
    assert load_table.file == __file__
    assert load_table.retries == 0


def test_options_can_be_given_and_changed() -> None:
    @flow(name="Nightly", description="d", version="7", retries=2, retry_delay_seconds=[1, 5])
    def fn(): ...

    assert (fn.name, fn.description, fn.version, fn.retry_delays) == ("Nightly", "d", "7", (1.0, 5.0))
    other = fn.with_options(name="Daily", retries=3)
    assert (other.name, other.version, other.retry_delays) == ("Daily", "7", (1.0, 5.0, 5.0))
    assert fn.name == "Nightly"


def test_a_version_without_a_file_is_none() -> None:
    scope: dict[str, Any] = {}
    exec("def made_up(): ...", scope)
    assert Flow(scope["made_up"]).version is None


def test_backoff_doubles_and_delays_cannot_be_negative() -> None:
    assert Flow(lambda: 1, name="x", retries=4, retry_delay_seconds=exponential_backoff(3)).retry_delays == (3, 6, 12, 24)
    with pytest.raises(Invalid, match="negative"):
        exponential_backoff(-1)
    with pytest.raises(Invalid, match="cannot be negative"):
        Flow(print, retries=1, retry_delay_seconds=-1)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"retires": 3}, TypeError, "no option retires; it has name"),
        ({"retries": -1}, Invalid, "retries must be 0 or more"),
        ({"timeout_seconds": 0}, Invalid, "timeout_seconds must be above 0"),
        ({"name": "a/b"}, Invalid, "no / % & > <"),
        ({"on_failure": print}, TypeError, "on_failure takes a list of functions"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Flow(print, **options)


def test_a_direct_call_returns_the_functions_result_and_sends_nothing() -> None:
    result = object()
    assert flow(lambda: result)() is result


def test_parameters_are_checked_unless_the_flow_does_not_want_it() -> None:
    @flow
    def double(n: int):
        return n * 2

    assert double("4") == 8
    with pytest.raises(Invalid, match="parameter 'n' is not valid"):
        double("four")
    assert double.with_options(validate_parameters=False)("4") == "44"


def test_a_failing_call_is_retried_and_then_raises_its_own_error() -> None:
    attempts = []

    @flow(retries=2, retry_delay_seconds=0)
    def fails():
        attempts.append(runtime.flow_run.run_count)
        raise KeyError(f"attempt {runtime.flow_run.run_count}")

    with pytest.raises(KeyError, match="attempt 3"):
        fails()
    assert attempts == [1, 2, 3]


async def test_an_asynchronous_flow_is_awaited_retried_and_timed() -> None:
    attempts = []

    @flow(retries=1)
    async def fails_once(n: int):
        attempts.append(n)
        await asyncio.sleep(0)
        if len(attempts) == 1:
            raise ValueError
        return n

    assert fails_once.is_async
    assert await fails_once("3") == 3
    assert attempts == [3, 3]

    @flow(timeout_seconds=0.02)
    async def slow():
        await asyncio.sleep(60)

    with pytest.raises(TimedOut, match=r"timeout of 0\.02 s"):
        await slow()


async def test_a_timeout_error_of_the_flow_itself_is_not_taken_for_its_time_limit() -> None:
    @flow(timeout_seconds=60)
    async def fails():
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database") as caught:
        await fails()
    assert not isinstance(caught.value, TimedOut)


def test_a_synchronous_flow_is_interrupted_and_cannot_swallow_it() -> None:
    cleaned = []

    @flow(timeout_seconds=0.05)
    def stubborn():
        try:
            while True:
                try:
                    threading.Event().wait(60)
                except Exception:
                    continue
        finally:
            cleaned.append(True)

    with pytest.raises(TimedOut):
        stubborn()
    assert cleaned == [True]


def test_the_inner_of_two_time_limits_leaves_the_outer_in_force() -> None:
    @flow(timeout_seconds=0.02)
    def inner():
        threading.Event().wait(60)

    @flow(timeout_seconds=0.1)
    def outer():
        with pytest.raises(TimedOut, match=r"0\.02 s"):
            inner()
        threading.Event().wait(60)

    with pytest.raises(TimedOut, match=r"0\.1 s"):
        outer()


def test_the_outer_of_two_time_limits_ends_the_inner_flow_too() -> None:
    @flow(timeout_seconds=60, retries=5)
    def inner():
        threading.Event().wait(60)

    @flow(timeout_seconds=0.05)
    def outer():
        inner()

    with pytest.raises(TimedOut, match=r"0\.05 s"):
        outer()


def test_a_time_limit_that_cannot_be_kept_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    answers = []
    thread = threading.Thread(target=lambda: answers.append(load_table.with_options(timeout_seconds=9)()))
    thread.start()
    thread.join()
    assert answers == ["t"]
    assert "only the main thread can be interrupted" in caplog.text


def test_hooks_are_told_how_it_ended() -> None:
    told = []

    def hook(of: Any, run: Any, state: Any) -> None:
        told.append((of.name, run.name, state.type.value, state.name, state.message, runtime.flow_run.name))

    @flow(on_completion=[hook], on_failure=[hook], on_crashed=[hook], timeout_seconds=60)
    def program(error: Any = None):
        if error:
            raise error

    program()
    with pytest.raises(ValueError, match="v"):
        program(ValueError("v"))
    with pytest.raises(TimedOut):
        program(TimedOut(3))
    with pytest.raises(KeyboardInterrupt):
        program(KeyboardInterrupt())
    assert [each[2:5] for each in told] == [
        ("COMPLETED", "Completed", None),
        ("FAILED", "Failed", "Flow run encountered an exception: ValueError: v"),
        ("FAILED", "TimedOut", "Flow run took longer than its timeout of 3 s."),
        ("CRASHED", "Crashed", "Flow run was interrupted: KeyboardInterrupt"),
    ]
    assert told[0][:2] == ("program", "program")
    assert told[0][5] == "program"


async def test_hooks_may_be_coroutines_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    told = []

    async def asynchronous(of: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        told.append(state.name)

    async def broken(of: Any, run: Any, state: Any) -> None:
        raise RuntimeError("the hook's own trouble")

    @flow(on_completion=[broken, asynchronous])
    def program():
        return 1

    assert program() == 1
    assert await asyncio.to_thread(program) == 1
    assert told == ["Completed", "Completed"]
    assert "Hook 'broken' failed; the run stays Completed" in caplog.text
    assert "the hook's own trouble" in caplog.text


def test_nested_flows_belong_to_the_run_that_calls_them(caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def inner():
        get_run_logger().warning("inner")
        return runtime.flow_run.id, runtime.flow_name

    @flow
    def outer():
        get_run_logger().warning("outer")
        return (runtime.flow_run.id, runtime.flow_name), inner()

    mine, its = outer()
    assert mine == its
    assert mine[1] == "outer"
    assert len({record.flow_run_id for record in caplog.records}) == 1


def test_the_runtime_answers_inside_and_is_empty_outside() -> None:
    @flow(flow_run_name="load-{table}-{n:03}")
    def program(table: str, n: int = 7):
        run = runtime.flow_run
        return run.name, run.parameters, run.run_count, run.tags, run.scheduled_start_time is not None, runtime.flow_name

    assert program("users") == ("load-users-007", {"table": "users", "n": 7}, 1, [], True, "program")
    assert runtime.flow_run.id is None
    assert runtime.flow_run.scheduled_start_time is None
    assert (runtime.flow_run.parameters, runtime.flow_run.tags) == ({}, [])
    assert (runtime.deployment.id, runtime.deployment.name, runtime.flow_name) == (None, None, None)


def test_a_run_name_that_cannot_be_formed_says_why() -> None:
    with pytest.raises(Invalid, match=r"flow_run_name 'x-\{nope\}' cannot be formed"):
        load_table.with_options(flow_run_name="x-{nope}")()


def test_a_thread_of_a_flow_belongs_to_its_run() -> None:
    seen = []

    @flow
    def program():
        thread = threading.Thread(target=lambda: seen.append((runtime.flow_run.id, get_run_logger().extra)))
        thread.start()
        thread.join()
        return runtime.flow_run.id

    id = program()
    assert seen[0][0] == id
    assert str(seen[0][1]["flow_run_id"]) == id


def test_flows_in_threads_of_their_own_do_not_mix() -> None:
    both_inside = threading.Barrier(2)

    @flow
    def program(n: int):
        both_inside.wait(10)
        result = runtime.flow_run.parameters["n"], runtime.flow_run.run_count
        both_inside.wait(10)
        return result

    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(program(n))) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(0, 1), (1, 1)]


def test_a_logger_outside_of_a_run_is_an_error_that_helps() -> None:
    with pytest.raises(NotInRun, match=r"works inside a flow. Elsewhere use logging.getLogger"):
        get_run_logger()


def test_a_direct_call_logs_to_the_console(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])

    @flow
    def program():
        get_run_logger().info("a line with %s", "arguments", extra={"mine": 1})
        get_run_logger().debug("below the level")

    program()
    program()
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert shown[0].endswith("| INFO    | Flow run 'program' - a line with arguments")


def test_the_caller_of_a_log_call_is_on_its_record(caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def program():
        get_run_logger().error("x", extra={"mine": 1})

    program()
    assert caplog.records[0].funcName == "program"
    assert caplog.records[0].mine == 1
    assert caplog.records[0].flow_name == "program"


class Service:
    def __init__(self, name: str) -> None:
        self.name = name

    @flow
    def sync(self, n: int):
        return self.name, n


def test_methods_are_flows_of_their_instance() -> None:
    assert Service("a").sync("3") == ("a", 3)
    assert Service("b").sync.name == "sync"
    assert list(Service("a").sync.parameters.schema()["properties"]) == ["n"]
    assert isinstance(Service.sync, Flow)


def test_a_flow_is_pickled_by_where_it_stands() -> None:
    @flow
    def local(): ...

    local.__qualname__ = "load_table"
    local.__module__ = "headgate.flows.flow"
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(local)


def test_plain_callables_become_flows() -> None:
    assert as_flow(load_table) is load_table
    assert as_flow(functools.partial(len, [1, 2]))() == 2
    assert as_flow(max).name == "max"


def test_the_top_level_names_are_the_sdk() -> None:
    assert headgate.flow is flow
    for name in headgate.__all__:
        assert getattr(headgate, name) is not None
