"""Priorities of queues: positive integers, unique in a pool, 1 first."""

from collections.abc import Mapping
from uuid import UUID


def place(id: UUID, wanted: int | None, taken: Mapping[UUID, int]) -> dict[UUID, int]:
    """Ranks of all queues once `id` has the rank `wanted` (None: the lowest free one), given the others' ranks.

    A taken rank pushes its queue, and those right behind it, down by one; gaps end the push, so that queues that
    need not move keep their ranks, and the order of the others stays as it was.
    """
    if wanted is None:
        used = set(taken.values())
        wanted = next(rank for rank in range(1, len(used) + 2) if rank not in used)
    ranks = dict(taken)
    push = wanted
    for other, rank in sorted(taken.items(), key=lambda item: item[1]):
        if rank == push:
            push = ranks[other] = rank + 1
    return ranks | {id: wanted}
