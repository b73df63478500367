"""Made-up results for the tests beside it."""

from datetime import UTC, datetime

from bench.machine import Machine
from bench.results import Results, Turn
from bench.shape import Better, Figure
from bench.sides import OURS, PEER


def machine(*, load_before: float = 0.1) -> Machine:
    """A machine of two cores."""
    return Machine(
        cores=2,
        processor="Example 1000",
        memory_gigabytes=16.0,
        kernel="Linux 6.1",
        python="3.11.7",
        sqlite="3.40.1",
        load_before=load_before,
    )


def created(per_second: float) -> Figure:
    """A figure of which more is better, with a target of 4,000."""
    return Figure(name="runs created", value=per_second, unit="/s", better=Better.MORE, target=4000)


def turn(side: str, per_second: float, number: int) -> Turn:
    """One turn of the scenario `create` on SQLite."""
    return Turn(
        scenario="create", side=side, database="sqlite", round=number, figures=[created(per_second)], load_cpu_share=0.5
    )


def results(*, quick: bool = False, load_before: float = 0.1) -> Results:
    """Two rounds of both sides, and a turn of the peer that failed."""
    return Results(
        date=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        quick=quick,
        machine=machine(load_before=load_before),
        versions={"headgate": "1.0", "prefect": "3.9.1"},
        turns=[
            turn(OURS, 5000.0, 1),
            turn(PEER, 20.0, 1),
            turn(PEER, 30.0, 2),
            turn(OURS, 3000.0, 2),
            Turn(scenario="create", side=PEER, database="postgresql", round=1, trouble="it did not start"),
        ],
    )
