"""`log_prints`: what a flow prints, wherever in it, becomes lines of its log."""

import asyncio
import builtins
import sys
import threading

import pytest

from headgate import flow

ORIGINAL = builtins.print


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "headgate.flow_runs")


def test_prints_are_logged_and_nothing_else_is_changed(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow(log_prints=True)
    def program():
        print("a", 1, None)
        print("a", "b", sep="-")
        print()
        print("two\nlines")
        print("to stderr", file=sys.stderr)
        print("to stdout", file=sys.stdout)

    program()
    assert lines(caplog) == ["a 1 None", "a-b", "", "two\nlines", "to stdout"]
    assert {(record.levelname, record.flow_run_name) for record in caplog.records} == {("INFO", "program")}
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "to stderr\n"
    assert builtins.print is ORIGINAL


def test_a_line_printed_in_pieces_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    @flow(log_prints=True)
    def program():
        for n in range(3):
            print(n, end=" ", flush=True)
        print("done")
        print("50 %", end="\r")
        print("an end that never came", end="")

    program()
    assert lines(caplog) == ["0 1 2 done", "50 %", "an end that never came"]


def test_a_line_without_an_end_does_not_grow_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    @flow(log_prints=True)
    def program():
        for _ in range(5_000):
            print("....", end="")

    program()
    assert sum(map(len, lines(caplog))) == 20_000
    assert max(map(len, lines(caplog))) < 11_000


def test_threads_and_coroutines_of_the_flow_log_too(caplog: pytest.LogCaptureFixture) -> None:
    @flow(log_prints=True)
    def threaded():
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    @flow(log_prints=True)
    async def asynchronous():
        async def part(n: int):
            await asyncio.sleep(0)
            print("part", n)

        await asyncio.gather(part(1), part(2), asyncio.to_thread(print, "offloaded"))

    # The name `print` is looked up when the thread is made, so that it is the flow's.
    threaded()
    asyncio.run(asynchronous())
    assert lines(caplog)[0] == "from a thread"
    assert sorted(lines(caplog)[1:]) == ["offloaded", "part 1", "part 2"]


def test_other_flows_print_as_ever(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def quiet():
        print("shown")

    @flow(log_prints=True)
    def loud():
        print("logged")
        quiet()

    quiet()
    loud()
    assert lines(caplog) == ["logged", "shown"]
    assert capsys.readouterr().out == "shown\n"


def test_the_rest_of_the_program_prints_while_a_flow_logs(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    inside, leave = threading.Event(), threading.Event()

    @flow(log_prints=True)
    def program():
        inside.set()
        leave.wait(10)
        print("logged")

    thread = threading.Thread(target=program)
    thread.start()
    inside.wait(10)
    print("shown")
    leave.set()
    thread.join()
    assert lines(caplog) == ["logged"]
    assert capsys.readouterr().out == "shown\n"


def test_print_is_put_back_when_the_flow_fails() -> None:
    @flow(log_prints=True)
    def program():
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        program()
    assert builtins.print is ORIGINAL
