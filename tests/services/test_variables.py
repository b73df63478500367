"""Variables: any JSON under a name of its own, changed and deleted by id or by name."""

from typing import Any
from uuid import uuid4

import pytest
from world import World

from headgate.errors import Conflict, NotFound
from headgate.schema.filters import IdFilter, NameFilter, TagsFilter, VariableFilter, VariableQuery, VariableSort
from headgate.schema.variables import Variable, VariableCreate, VariableUpdate
from headgate.services import variables


async def make(world: World, name: str = "region", value: Any = "eu", **fields: Any) -> Variable:
    return await variables.create(world.scope, VariableCreate(name=name, value=value, **fields))


async def names(world: World, **query: Any) -> list[str]:
    return [each.name for each in await variables.list_page(world.scope, VariableQuery(**query))]


@pytest.mark.parametrize("value", ["", "x", "5", 5, 1.5, True, False, None, [], [1, None], {}, {"b": {"a": ["ü"]}, "a": 1}])
async def test_a_value_is_any_json(world: World, value: Any) -> None:
    made = await make(world, value=value, tags=["a"])
    read = await variables.get(world.scope, made.id)
    assert read == made
    assert (type(read.value), list(read.value) if isinstance(value, dict) else None) == (
        type(value),
        list(value) if isinstance(value, dict) else None,
    )
    assert await variables.get_by_name(world.scope, "region") == made
    await variables.update(world.scope, made.id, VariableUpdate(value=[value]))
    await variables.update(world.scope, made.id, VariableUpdate(value=value))
    assert (await variables.get(world.scope, made.id)).value == value


async def test_a_name_is_taken_once(world: World) -> None:
    made = await make(world)
    with pytest.raises(Conflict, match="'region' already exists"):
        await make(world)
    await make(world, "zone")
    with pytest.raises(Conflict, match="'zone' already exists"):
        await variables.update(world.scope, made.id, VariableUpdate(name="zone"))
    await variables.update(world.scope, made.id, VariableUpdate(name="region", tags=["x"]))
    assert (await variables.get(world.scope, made.id)).tags == ["x"]


async def test_what_is_left_out_of_a_change_stays(world: World) -> None:
    made = await make(world, tags=["a"])
    world.clock.advance(seconds=5)
    await variables.update_by_name(world.scope, "region", VariableUpdate(value=None))
    changed = await variables.get(world.scope, made.id)
    assert (changed.name, changed.value, changed.tags) == ("region", None, ["a"])
    assert (changed.created, changed.updated) == (made.created, world.now)
    await variables.update(world.scope, made.id, VariableUpdate(name="area", tags=[]))
    changed = await variables.get_by_name(world.scope, "area")
    assert (changed.value, changed.tags) == (None, [])


async def test_a_page_is_filtered_and_sorted(world: World) -> None:
    b = await make(world, "b", tags=["x", "y"])
    world.clock.advance(seconds=1)
    await make(world, "a_1", tags=["x"])
    world.clock.advance(seconds=1)
    await make(world, "c")
    await variables.update(world.scope, b.id, VariableUpdate(value=1))
    assert await names(world) == ["a_1", "b", "c"]
    assert await names(world, sort=VariableSort.NAME_DESC, limit=2) == ["c", "b"]
    assert await names(world, sort=VariableSort.CREATED_DESC) == ["c", "a_1", "b"]
    assert (await names(world, sort=VariableSort.UPDATED_DESC))[-1] == "a_1"
    assert await names(world, offset=1, limit=1) == ["b"]
    for filter, found in (
        (VariableFilter(id=IdFilter(any_=[b.id])), ["b"]),
        (VariableFilter(name=NameFilter(any_=["c", "d"])), ["c"]),
        (VariableFilter(name=NameFilter(like_="a_")), ["a_1"]),
        (VariableFilter(tags=TagsFilter(all_=["x", "y"])), ["b"]),
        (VariableFilter(tags=TagsFilter(is_null_=True)), ["c"]),
    ):
        assert await names(world, variables=filter) == found
        assert await variables.count(world.scope, VariableQuery(variables=filter)) == 1


async def test_what_is_not_there_is_said(world: World) -> None:
    made = await make(world)
    await variables.delete(world.scope, made.id)
    await make(world)
    await variables.delete_by_name(world.scope, "region")
    for call in (
        variables.get(world.scope, made.id),
        variables.get_by_name(world.scope, "region"),
        variables.update(world.scope, uuid4(), VariableUpdate()),
        variables.update_by_name(world.scope, "region", VariableUpdate()),
        variables.delete(world.scope, made.id),
        variables.delete_by_name(world.scope, "region"),
    ):
        with pytest.raises(NotFound, match="Variable not found"):
            await call
