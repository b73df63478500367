"""Priorities stay unique, a queue gets the one that it asks for, and the others keep their order."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.ranks import place

NEW = UUID(int=999)


def ids(ranks: dict[int, int]) -> dict[UUID, int]:
    return {UUID(int=id): rank for id, rank in ranks.items()}


@pytest.mark.parametrize(
    ("wanted", "taken", "placed"),
    [
        (None, {}, {999: 1}),
        (None, {1: 1, 2: 2}, {1: 1, 2: 2, 999: 3}),
        (None, {1: 1, 2: 3}, {1: 1, 2: 3, 999: 2}),
        (None, {1: 2}, {1: 2, 999: 1}),
        (1, {}, {999: 1}),
        (7, {1: 1}, {1: 1, 999: 7}),
        (1, {1: 1, 2: 2, 3: 3}, {999: 1, 1: 2, 2: 3, 3: 4}),
        (2, {1: 1, 2: 2, 3: 3}, {1: 1, 999: 2, 2: 3, 3: 4}),
        (1, {1: 1, 2: 2, 3: 9}, {999: 1, 1: 2, 2: 3, 3: 9}),
        (1, {1: 1, 2: 3}, {999: 1, 1: 2, 2: 3}),
    ],
)
def test_by_example(wanted: int | None, taken: dict[int, int], placed: dict[int, int]) -> None:
    assert place(NEW, wanted, ids(taken)) == ids(placed)


TAKEN = st.sets(st.integers(1, 12), max_size=8).flatmap(
    lambda ranks: st.permutations(sorted(ranks)).map(lambda order: {UUID(int=n): rank for n, rank in enumerate(order)})
)


@given(st.none() | st.integers(1, 15), TAKEN)
def test_any_queue_can_be_put_anywhere(wanted: int | None, taken: dict[UUID, int]) -> None:
    placed = place(NEW, wanted, taken)
    assert set(placed) == {*taken, NEW}
    assert len(set(placed.values())) == len(placed)
    assert min(placed.values()) >= 1
    assert wanted is None or placed[NEW] == wanted
    assert sorted(taken, key=taken.__getitem__) == sorted(taken, key=placed.__getitem__)


@given(st.integers(1, 15), TAKEN)
def test_only_those_in_the_way_move_and_by_one_step(wanted: int, taken: dict[UUID, int]) -> None:
    placed = place(NEW, wanted, taken)
    free = next(rank for rank in range(wanted, 100) if rank not in taken.values())
    for id, rank in taken.items():
        assert placed[id] == (rank + 1 if wanted <= rank < free else rank)


@given(TAKEN)
def test_without_a_wish_nobody_moves(taken: dict[UUID, int]) -> None:
    placed = place(NEW, None, taken)
    assert {id: placed[id] for id in taken} == taken
