"""Concurrency keys: what an expression may be, what it comes to, and whose runs give way when more share a key than may."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.collisions import Contender, giving_way
from headgate.core.concurrency_keys import check_expression, key_id, resolve
from headgate.errors import Invalid
from headgate.schema.deployments import KeyStrategy
from headgate.schema.states import StateType

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = {"properties": {"customer": {"type": "string"}, "size": {"type": "integer", "default": 3}}}


@pytest.mark.parametrize(
    ("expression", "parameters", "key"),
    [
        ("{{ parameters.customer }}", {"customer": "acme"}, "acme"),
        ("{{parameters.customer}}", {"customer": "acme"}, "acme"),
        ("load-{{ parameters.customer }}-{{ parameters.size }}", {"customer": "acme", "size": 7}, "load-acme-7"),
        ("{{ parameters.size }}", {}, "3"),
        ("{{ parameters.customer }}", {}, "null"),
        ("{{ parameters.customer }}", {"customer": None}, "null"),
        ("{{ parameters.order.id }}", {"order": {"id": 9}}, "9"),
        ("{{ parameters.order.lines.1 }}", {"order": {"lines": ["a", "b"]}}, "b"),
        ("{{ parameters.order.id }}", {"order": "none"}, "null"),
        ("{{ parameters.order.lines.5 }}", {"order": {"lines": []}}, "null"),
        ("{{ parameters.on }}", {"on": True}, "true"),
        ("{{ parameters.it }}", {"it": {"b": 1, "a": "ü"}}, '{"a":"ü","b":1}'),
        ("{{ parameters.customer }}", {"customer": "{{ parameters.size }}"}, "{{ parameters.size }}"),
        ("nightly", {"customer": "acme"}, "nightly"),
    ],
)
def test_what_an_expression_comes_to(expression: str, parameters: dict[str, Any], key: str) -> None:
    """Texts as they are, the rest as JSON; defaults of the schema count; what is nowhere is null; values are data."""
    assert resolve(expression, parameters, SCHEMA) == key


def test_a_key_belongs_to_its_deployment() -> None:
    """The same text of another deployment is another key; the same of the same is the same, however long."""
    one, other = UUID(int=1), UUID(int=2)
    assert key_id(one, "acme") == key_id(one, "acme")
    assert len({key_id(one, "acme"), key_id(other, "acme"), key_id(one, "acme2"), key_id(one, "x" * 10**6)}) == 4


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "cannot be empty"),
        ("  ", "cannot be empty"),
        ("{{ customer }}", "{{ customer }} is no parameter of a run: write it as {{ parameters.NAME }}."),
        ("{{ parameters. }}", "{{ parameters. }} is no parameter of a run"),
        ("{{ parameters.order..id }}", "is no parameter of a run"),
        ("{{ headgate.variables.region }}", "{{ headgate.variables.region }} is no parameter of a run"),
        ("{{ parameters.customer }", "has a brace too many or too few"),
        ("{{ parameters.custom er }}", "has a brace too many or too few"),
        ("{{ parameters.client }}", "names parameter 'client', which the flow does not have: it has customer, size."),
    ],
)
def test_an_expression_that_means_nothing_is_refused(expression: str, says: str) -> None:
    with pytest.raises(Invalid, match=re.escape(says)) as caught:
        check_expression(expression, SCHEMA, {})
    assert (caught.value.field, caught.value.value) == ("concurrency_key.expression", expression)


@pytest.mark.parametrize(
    ("schema", "parameters"),
    [(None, {}), ({}, {}), (SCHEMA | {"additionalProperties": True}, {}), (SCHEMA, {"client": 1})],
)
def test_a_parameter_may_be_known_otherwise(schema: dict[str, Any] | None, parameters: dict[str, Any]) -> None:
    """Where no schema says which there are, and where the deployment brings it itself."""
    check_expression("{{ parameters.client.id }} and text", schema, parameters)


# --- who gives way

STRATEGIES = st.sampled_from([*KeyStrategy])


@st.composite
def contenders(draw: st.DrawFn) -> list[Contender]:
    """Runs with ids of their own: waiting, in progress, and being cancelled."""
    runs = []
    for number in range(draw(st.integers(0, 8))):
        state = draw(st.sampled_from([StateType.SCHEDULED, StateType.SCHEDULED, StateType.RUNNING, StateType.CANCELLING]))
        since = NOW - timedelta(seconds=draw(st.integers(0, 5)))
        holds = state is not StateType.SCHEDULED or draw(st.integers(0, 9)) == 0
        due = since if state is StateType.SCHEDULED else None
        begun = state is not StateType.SCHEDULED or draw(st.booleans())
        runs.append(Contender(UUID(int=number), state, state.title(), since, due, draw(st.integers(-1, 1)), holds, begun))
    return runs


@given(STRATEGIES, st.integers(1, 3), contenders(), st.randoms(use_true_random=False))
def test_the_order_in_which_runs_are_listed_changes_nothing(
    strategy: KeyStrategy, limit: int, runs: list[Contender], random: Any
) -> None:
    listed = [*runs]
    random.shuffle(listed)
    assert giving_way(strategy, limit, listed) == giving_way(strategy, limit, runs)


@given(STRATEGIES, st.integers(1, 3), contenders())
def test_once_is_enough(strategy: KeyStrategy, limit: int, runs: list[Contender]) -> None:
    """When those that give way have ended, nobody else has to; and nobody that is being cancelled is asked again."""
    gone = {run.id for run in giving_way(strategy, limit, runs)}
    assert not any(run.id in gone for run in runs if run.state is StateType.CANCELLING)
    assert (
        giving_way(strategy, limit, [run for run in runs if run.id not in gone]) == []
        or strategy is KeyStrategy.REPLACE_QUEUED
    )


@given(st.integers(1, 3), contenders())
def test_nobody_gives_way_where_runs_wait_for_their_turn(limit: int, runs: list[Contender]) -> None:
    assert giving_way(KeyStrategy.ENQUEUE, limit, runs) == []


@given(st.integers(1, 3), contenders())
def test_cancel_new_leaves_the_begun_and_fills_the_free_slots(limit: int, runs: list[Contender]) -> None:
    gone = giving_way(KeyStrategy.CANCEL_NEW, limit, runs)
    new = [run for run in runs if not run.holds and not run.begun]
    free = max(limit - sum(run.holds for run in runs), 0)
    assert len(gone) == max(len(new) - free, 0)
    assert all(run in new for run in gone)
    stay = [run for run in new if run not in gone]
    assert all((-a.priority, a.due_at, a.id) < (-b.priority, b.due_at, b.id) for a in stay for b in gone)


@given(st.integers(1, 3), contenders())
def test_cancel_running_keeps_the_newest(limit: int, runs: list[Contender]) -> None:
    """So that there is a slot for each that waits, as soon as those in progress are gone."""
    gone = giving_way(KeyStrategy.CANCEL_RUNNING, limit, runs)
    stay = [run for run in runs if run not in gone and run.state is not StateType.CANCELLING]
    assert len(stay) <= limit
    assert not gone or len(stay) == limit
    assert all((a.since, a.id) > (b.since, b.id) for a in stay for b in gone)


@given(st.integers(1, 3), contenders())
def test_replace_queued_touches_nothing_in_progress_and_keeps_the_newest(limit: int, runs: list[Contender]) -> None:
    gone = giving_way(KeyStrategy.REPLACE_QUEUED, limit, runs)
    waiting = [run for run in runs if not run.holds]
    stay = [run for run in waiting if run not in gone]
    assert not any(run.holds for run in gone)
    assert bool(stay) is bool(waiting)
    assert len(stay) <= max(limit - (len(runs) - len(waiting)), 1)
    assert all((a.since, a.id) > (b.since, b.id) for a in stay for b in gone)
