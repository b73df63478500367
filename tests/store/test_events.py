"""Filters of events: what the database finds is what the plain rule means, for those that were sent and those of runs."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from store_records import NOW

from headgate.clock import FrozenClock
from headgate.core.event_filters import matches, words
from headgate.ids import uuid7
from headgate.schema.events import (
    RESOURCE,
    ROLE,
    AnyResourceFilter,
    EventFilter,
    EventIdFilter,
    EventNameFilter,
    EventTextFilter,
    OccurredFilter,
    Order,
    ReceivedEvent,
    RelatedFilter,
    ResourceFilter,
)
from headgate.schema.flow_runs import FlowRunCreate
from headgate.schema.flows import FlowCreate
from headgate.schema.states import SetState, StateCreate, StateType
from headgate.services import flow_runs, flows, states
from headgate.services.scope import Scope
from headgate.store import events
from headgate.store.database import Database
from headgate.store.events import Selected

ROUNDS = 150
COLORS = ("red", "Red", "r?d", "grün", 'qu"ote', "100%", "a_b", "a[b]")


def sent(rng: random.Random, runs: list[UUID]) -> ReceivedEvent:
    resources = [f"thing.{i}" for i in range(4)] + [f"prefect.flow-run.{run}" for run in runs]
    labels = {"prefect.resource.name": rng.choice(COLORS), 'odd "key".x': rng.choice(COLORS)}
    others = [
        {RESOURCE: rng.choice(resources), ROLE: rng.choice(("flow-run", "friend"))} | (labels if rng.random() < 0.5 else {})
        for _ in range(rng.randrange(3))
    ]
    return ReceivedEvent(
        id=uuid7(NOW),
        occurred=NOW - timedelta(seconds=rng.randrange(60)),
        event=rng.choice(("x.seen", "x.Other", "y_z", "prefect.flow-run.heartbeat")),
        resource={RESOURCE: rng.choice(resources)} | (labels if rng.random() < 0.5 else {}),
        related=others,
        payload={"said": rng.choice(COLORS)},
        received=NOW,
    )


async def fill(scope: Scope, clock: FrozenClock, rng: random.Random) -> list[UUID]:
    """Runs with some states, and events of all kinds; answers the runs."""
    flow = await flows.create(scope, FlowCreate(name="red", tags=["red", "late"]))
    runs = []
    for number in range(4):
        body = FlowRunCreate(flow_id=flow[0].id if isinstance(flow, tuple) else flow.id, tags=[rng.choice(COLORS)])
        run = (await flow_runs.create(scope, body)).run
        runs.append(run.id)
        for kind in (StateType.RUNNING, StateType.COMPLETED)[: number % 3]:
            clock.advance(seconds=1)
            state = StateCreate(type=kind, message=rng.choice((None, *COLORS)))
            await states.set_state(scope, run.id, SetState(state=state))
    made = [(uuid7(NOW), sent(rng, runs)) for _ in range(60)]
    await scope.store.write(lambda tx: events.insert(tx, made))
    return runs


def some(rng: random.Random, values: list[Any]) -> list[Any]:
    return rng.sample(values, rng.randrange(1, 3))


def a_filter(rng: random.Random, runs: list[UUID], known: list[ReceivedEvent]) -> EventFilter:
    ids = ["thing.0", "thing.1", *(f"prefect.flow-run.{run}" for run in runs), "prefect.tag.red"]
    names = ["x.seen", "y_z", "prefect.flow-run.Running", "prefect.flow-run.Completed", "prefect.flow-run.Pending"]
    labels = [
        {"prefect.resource.name": rng.choice(["red", "r?d", "*e*", "!red", "a_?", "100%", "a[[]b]", "a[b]"])},
        {'odd "key".x': some(rng, ["red", "!*r*", 'qu"*'])},
        {RESOURCE: "prefect.flow-run.*", "prefect.state-type": ["RUNNING", "COMPL*"]},
        {RESOURCE: "thing.?"},
    ]

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.5 else None

    f = EventFilter(order=rng.choice(list(Order)))
    if rng.random() < 0.3:
        bounds = (NOW - timedelta(seconds=rng.randrange(60)), NOW + timedelta(seconds=rng.randrange(9)))
        f.occurred = OccurredFilter(since=maybe(bounds[0]), until=maybe(bounds[1]))
    if rng.random() < 0.4:
        prefixes = maybe(some(rng, ["x.", "prefect.", "prefect.flow-run.C", "Y_"]))
        f.event = EventNameFilter(prefix=prefixes, exclude_prefix=maybe(["x.S", "y"]), name=maybe(some(rng, names)))
        f.event.exclude_name = maybe(some(rng, names))
    if rng.random() < 0.3:
        f.resource = ResourceFilter(id=maybe(some(rng, ids)), id_prefix=maybe(["thing", "prefect.f"]))
        f.resource.labels = maybe(rng.choice(labels))
    if rng.random() < 0.4:
        f.related = RelatedFilter(id=maybe(some(rng, ids)), role=maybe(some(rng, ["flow", "friend", "tag"])))
        f.related.labels = maybe(rng.choice([*labels, {ROLE: ["flow-run", "flow"]}]))
        f.related.resources_in_roles = maybe([("thing.0", "friend"), ("prefect.tag.red", "tag")])
    if rng.random() < 0.4:
        f.any_resource = [
            AnyResourceFilter(id=maybe(some(rng, ids)), id_prefix=maybe(["thing"]), labels=maybe(rng.choice(labels)))
            for _ in range(rng.randrange(3))
        ]
    if rng.random() < 0.2:
        f.text = EventTextFilter(query=rng.choice(["RED", "thing -seen", '"x.seen" +friend', "!prefect", "-", "100%"]))
    if rng.random() < 0.1:
        f.id = EventIdFilter(id=[each.id for each in rng.sample(known, 3)])
    return f


async def test_the_database_finds_what_the_rule_means(scope: Scope, clock: FrozenClock) -> None:
    rng = random.Random(7)
    runs = await fill(scope, clock, rng)
    store = scope.store
    every = await store.read(lambda tx: events.list_page(tx, Selected(EventFilter()), limit=1000))
    assert len(every) == 60 + 1 + 4 + 0 + 1 + 2 + 0  # the flow's own, then the runs' states
    sizes = set()
    for _ in range(ROUNDS):
        f = a_filter(rng, runs, every)
        found = await store.read(lambda tx, f=f: events.list_page(tx, Selected(f), limit=1000))  # type: ignore[misc]
        wanted = [event for event in every if matches(f, event)]
        wanted.sort(key=lambda event: (event.occurred, event.id), reverse=f.order is Order.DESC)
        assert [event.id for event in found] == [event.id for event in wanted], f
        assert await store.read(lambda tx, f=f: events.count(tx, Selected(f))) == len(wanted)  # type: ignore[misc]
        sizes.add(len(wanted))
    assert len(sizes) > 10


async def test_what_is_new_is_what_is_there(scope: Scope, clock: FrozenClock) -> None:
    await fill(scope, clock, random.Random(3))
    entered, kept = await scope.store.read(lambda tx: events.new_ids(tx, UUID(int=0)))
    assert (len(entered), len(kept)) == (7, 60 + 1)
    new = await scope.store.read(lambda tx: events.list_new(tx, entered, kept))
    every = await scope.store.read(lambda tx: events.list_page(tx, Selected(EventFilter()), limit=1000))
    assert sorted(new, key=lambda event: event.id) == sorted(every, key=lambda event: event.id)


async def test_what_runs_did_long_ago_is_left_out(scope: Scope, clock: FrozenClock) -> None:
    await fill(scope, clock, random.Random(3))
    selected = Selected(EventFilter(), runs_since=NOW + timedelta(days=1))
    found = await scope.store.read(lambda tx: events.list_page(tx, selected, limit=1000))
    assert len(found) == 60 + 1


async def test_an_event_is_kept_once(database: Database) -> None:
    event = sent(random.Random(1), [])
    again = structs.replace(event, event="changed")
    for batch in ([event, again], [again]):
        await database.write(lambda tx, batch=batch: events.insert(tx, [(uuid7(NOW), each) for each in batch]))  # type: ignore[misc]
    (found,) = await database.read(lambda tx: events.list_page(tx, Selected(EventFilter()), limit=9))
    assert found.event == event.event


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ((), (), ())),
        ("one Two", (("one", "two"), (), ())),
        ("a -b !c +d", (("a",), ("d",), ("b", "c"))),
        ('"one two" -"three \\"four\\""', (("one two",), (), ('three "four"',))),
        ("- + !", ((), (), ())),
        ('"open', (("open",), (), ())),
        ("semi-colon", (("semi-colon",), (), ())),
    ],
)
def test_a_search_is_read_word_by_word(query: str, wanted: tuple[tuple[str, ...], ...]) -> None:
    found = words(query)
    assert (found.any, found.all, found.none) == wanted
