"""What all scenarios keep to, and the rules that some of them count by."""

import re

import pytest
from bench.page import summary
from bench.scenarios import NAMES, SCENARIOS
from bench.scenarios.drain import throughput
from bench.scenarios.limit import most_at_once
from bench.session import Choice, turns
from bench.shape import Scenario
from bench.sides import Side

OURS = Side("headgate", ("headgate",), "HEADGATE_", "postgresql", calls_a_second=1)
PEER = Side("prefect", ("prefect",), "PREFECT_", "postgresql+asyncpg", calls_a_second=1)


def choice(*names: str, databases: tuple[str, ...] = ("sqlite", "postgresql"), quick: bool = False) -> Choice:
    scenarios = [each for each in SCENARIOS if each.name in names]
    return Choice(scenarios=scenarios, databases=databases, sides=[OURS, PEER], quick=quick)


def planned(chosen: Choice) -> list[tuple[str | None, int, str]]:
    return [(database, number, side.name) for _, database, number, side in turns(chosen)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_a_scenario_says_what_it_measures(scenario: type[Scenario]) -> None:
    assert len(summary(scenario)) > 60
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", scenario.name)
    assert scenario.__module__ == f"bench.scenarios.{scenario.name.replace('-', '_')}"


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_sides_take_turns_and_come_the_other_way_round_the_second_time() -> None:
    assert planned(choice("create", databases=("sqlite",))) == [
        ("sqlite", 1, "headgate"),
        ("sqlite", 1, "prefect"),
        ("sqlite", 2, "prefect"),
        ("sqlite", 2, "headgate"),
    ]


def test_the_quick_mode_does_with_one_round() -> None:
    assert {number for _, number, _ in planned(choice("create", quick=True))} == {1}


def test_what_no_database_makes_a_difference_to_is_run_once() -> None:
    assert planned(choice("size")) == [(None, 1, "headgate"), (None, 1, "prefect")]


def test_what_the_peer_has_no_part_in_is_ours_alone() -> None:
    assert {side for _, _, side in planned(choice("floor-commit"))} == {"headgate"}


def test_most_at_once_counts_overlapping_spans() -> None:
    assert most_at_once([]) == 0
    assert most_at_once([(0, 4), (1, 3), (2, 5), (6, 7)]) == 3
    assert most_at_once([(0, 1), (1, 2)]) == 1, "a span that begins as another ends does not overlap it"


def test_throughput_leaves_the_last_stragglers_out() -> None:
    completed = [number / 100 for number in range(1, 101)]
    assert throughput(completed) == pytest.approx(100)
    assert throughput([*completed[:99], 60.0]) == pytest.approx(100)
    assert throughput([]) == 0
