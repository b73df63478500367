"""Which commands and which uses of a client a test covers, with which releases; the compatibility table is made of it."""

from collections.abc import Callable
from typing import Any

import pytest

NEWEST, OLDER, TWO = "3.9.1", "3.4.25", "2.20.27"
THREE = (NEWEST, OLDER)
ALL = (*THREE, TWO)


def scenario(
    *covers: str, on: tuple[str, ...] = ALL, extended: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test with each of the releases. It fails when it runs without having given a command that it says it covers.

    What is no command (`worker: retries`) is covered when the test passes. One that is `extended` runs with `dev.py clients`
    and not with `dev.py check`, which would take minutes longer.
    """

    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        marks = [pytest.mark.parametrize("release", on), pytest.mark.covers(*covers)]
        for decorate in (*marks, pytest.mark.extended) if extended else marks:
            test = decorate(test)
        return test

    return mark
