"""Launch rates and limits as people write them: `10/s`, `100/m`, `5/30s`; `20`; or `none`."""

import re
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.output import UsageError, span
from headgate.cli.times import seconds_of
from headgate.schema.work_pools import MOST_LAUNCHES, LaunchRate

Rate = Annotated[
    str | None,
    Parameter(name="--launch-rate", metavar="N/TIME", help="How many runs it launches in a time: 10/s, 5/30s; or none."),
]

AtOnce = Annotated[
    str | None,
    Parameter(
        name="--launch-limit",
        metavar="N",
        help="How many runs all its workers together may be starting at the same time; or none.",
    ),
]


def rate_of(text: str) -> LaunchRate | None:
    """The rate that a text means; None for `none`."""
    if text == "none":
        return None
    found = re.fullmatch(r"(\d+)/(.+)", text.strip())
    if not found or not 0 < int(found[1]) <= MOST_LAUNCHES:
        raise UsageError(
            f"--launch-rate is a number from 1 to {MOST_LAUNCHES} and a time, as in 10/s or 5/30s, or `none`; not {text!r}."
        )
    time = found[2] if found[2][0].isdigit() else f"1{found[2]}"
    return LaunchRate(limit=int(found[1]), seconds=seconds_of(time, option="--launch-rate"))


def rate_text(rate: LaunchRate | None) -> str:
    """`10 in 1s`, or `None`."""
    return "None" if rate is None else f"{rate.limit} in {span(rate.seconds)}"


def limit_of(text: str) -> int | None:
    """The limit that a text means; None for `none`."""
    if text == "none":
        return None
    if not text.strip().isdecimal() or not int(text):
        raise UsageError(f"--launch-limit is a number from 1 on, or `none`; not {text!r}.")
    return int(text)
