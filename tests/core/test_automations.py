"""Triggers of automations: what is left out, and what does not fit."""

from itertools import count
from typing import Any
from uuid import UUID

import pytest

from headgate.core.automations import DEEPEST, check_rests, completed
from headgate.errors import Invalid


def complete(trigger: Any) -> Any:
    numbers = count(1)
    return completed(trigger, lambda: UUID(int=next(numbers)))


def test_an_event_trigger_has_all_of_its_fields_and_an_id_of_its_own() -> None:
    assert complete({"posture": "Reactive", "expect": ["x"], "id": "theirs"}) == {
        "type": "event",
        "id": str(UUID(int=1)),
        "match": {},
        "match_related": {},
        "after": [],
        "expect": ["x"],
        "for_each": [],
        "posture": "Reactive",
        "threshold": 1,
        "within": 0.0,
    }


def test_triggers_in_triggers_are_completed_too() -> None:
    inner = {"posture": "Proactive", "within": 20}
    got = complete({"type": "compound", "require": "any", "within": 10, "triggers": [inner]})
    assert (got["require"], got["within"], got["triggers"][0]["within"]) == ("any", 10.0, 20.0)
    assert got["id"] != got["triggers"][0]["id"]
    assert complete({"triggers": [inner]})["type"] == "sequence"


def nested(depth: int) -> Any:
    return {"type": "sequence", "triggers": [nested(depth - 1)]} if depth else {"posture": "Reactive"}


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({"type": "x"}, "trigger.type"),
        ({}, "trigger.posture"),
        ({"posture": "Sitting"}, "trigger.posture"),
        ({"posture": "Reactive", "threshold": "1"}, "trigger.threshold"),
        ({"posture": "Reactive", "within": -1}, "trigger.within"),
        ({"posture": "Reactive", "match": ["x"]}, "trigger.match"),
        ({"posture": "Reactive", "match_related": [{}, 1]}, "trigger.match_related[1]"),
        ({"posture": "Reactive", "expect": [{}]}, "trigger.expect"),
        ({"posture": "Reactive", "for_each": "x"}, "trigger.for_each"),
        ({"type": "sequence", "triggers": None}, "trigger.triggers"),
        ({"type": "sequence", "triggers": [{"posture": "Reactive"}, {}]}, "trigger.triggers[1].posture"),
        ({"type": "compound", "require": 2, "triggers": [{"posture": "Reactive"}]}, "trigger.require"),
        ({"type": "compound", "require": "some", "triggers": []}, "trigger.require"),
        (nested(DEEPEST + 1), "trigger" + ".triggers[0]" * (DEEPEST + 1)),
    ],
)
def test_what_does_not_fit_is_named(trigger: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        complete(trigger)
    assert caught.value.field == field


def test_a_proactive_trigger_without_a_time_waits_for_the_shortest() -> None:
    for within in ({}, {"within": 0}):
        assert complete({"posture": "Proactive", **within})["within"] == 10.0


RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
INFERRED = {"type": "run-deployment", "source": "inferred"}
SELECTED = {"type": "run-deployment", "source": "selected"}


@pytest.mark.parametrize(
    ("action", "trigger", "rests"),
    [
        (INFERRED, {"expect": ["prefect.flow-run.*"]}, False),
        (INFERRED, {"expect": ["prefect.flow-run.*"], "match": RUNS | {"some": "thing"}}, False),
        (INFERRED, {"expect": ["prefect.flow-run.*"], "match_related": {"some": "thing"}}, False),
        (INFERRED, {"expect": ["prefect.flow-run.Failed", "prefect.flow-run.Pending"]}, False),
        (INFERRED, {"expect": ["prefect.flow-run.Failed", "prefect.flow-run.Crashed"]}, True),
        (INFERRED, {"expect": ["prefect.flow-run.*"], "posture": "Proactive", "within": 20}, True),
        (INFERRED, {"expect": []}, True),
        (SELECTED, {"expect": ["prefect.flow-run.*"]}, False),
        (SELECTED, {"expect": ["prefect.flow-run.Running"], "match": {}, "match_related": [{}]}, False),
        (
            SELECTED,
            {"expect": ["prefect.flow-run.Running"], "match": {"prefect.resource.id": ["x", "prefect.flow-run.*"]}},
            False,
        ),
        (SELECTED, {"expect": ["prefect.flow-run.Failed"]}, True),
        (SELECTED, {"expect": ["prefect.flow-run.*"], "match": RUNS | {"some": "thing"}}, True),
        (SELECTED, {"expect": ["prefect.flow-run.*"], "match_related": {"some": "thing"}}, True),
        (SELECTED, {"expect": ["prefect.flow-run.*"], "match": {"other": "thing"}}, True),
        ({"type": "do-nothing"}, {"expect": ["prefect.flow-run.*"]}, True),
    ],
)
def test_an_automation_whose_runs_would_set_it_off_again_is_refused(action: Any, trigger: Any, rests: bool) -> None:
    whole = complete({"posture": "Reactive", "match": RUNS} | trigger)
    if rests:
        check_rests(whole, [action])
        return
    with pytest.raises(Invalid, match=f"Running an? {action['source']} deployment"):
        check_rests(whole, [{"type": "do-nothing"}, action])


def test_triggers_of_triggers_are_no_state_changes() -> None:
    inner = {"posture": "Reactive", "expect": ["prefect.flow-run.*"]}
    check_rests(complete({"triggers": [inner]}), [INFERRED])
