"""Random numbers: what would begin anew in a new process begins anew in a forked one, and seeds that code set stay.

Python's own generator and OpenSSL's see to themselves at a fork.
"""

import gc
import os
import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

Generators = WeakSet[random.Random]


@contextmanager
def noted() -> Iterator[Generators]:
    """Inside, the generators that are made without a seed are collected."""
    unseeded: Generators = WeakSet()
    seed = random.Random.seed

    def note(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, a, version)
        (unseeded.add if a is None else unseeded.discard)(self)

    random.Random.seed = note  # type: ignore[method-assign]
    try:
        yield unseeded
    finally:
        random.Random.seed = seed  # type: ignore[method-assign]


def used_since(state: Any) -> bool:
    """Whether the common generators were drawn from or seeded; `state` is what `random.getstate()` gave before.

    Each new process would have drawn other numbers, so this is nothing to be shared.
    """
    return random.getstate() != state or _numpy_is_used()


def _numpy_is_used() -> bool:
    """Whether NumPy's common generator is not as its import left it, or there are others.

    It knows where its first seed came from until it is given one, and counts what is drawn.
    """
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return False
    try:
        common = numpy.mtrand._rand
        _, key, position, has_gauss, _ = common.get_state()
        if common._bit_generator._seed_seq is None or position != len(key) or has_gauss:
            return True
        return any(isinstance(each, numpy.BitGenerator) and each is not common._bit_generator for each in gc.get_objects())
    except (AttributeError, ValueError, TypeError):  # another NumPy than those that are known
        return True


def renew(generators: Iterable[random.Random]) -> None:
    """In a forked process: give the common generators, and these, seeds of their own."""
    for generator in generators:
        generator.seed()
    if (numpy := sys.modules.get("numpy.random")) is not None:
        numpy.seed()
    if (processes := sys.modules.get("multiprocessing.process")) is not None:
        processes.current_process().authkey = os.urandom(32)
