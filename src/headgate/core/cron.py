"""Cron expressions: five fields, or with seconds and years behind them; names, aliases; matched against the wall clock."""

import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import cast

from cronsim import CronSim, CronSimError
from cronsim.cronsim import Field

from headgate.errors import Invalid

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

YEARS = range(1970, 2100)
"""The years that an expression can name."""

# Of each field: the lowest and highest value, and the names of its values. Years are read apart, by `_years`.
_RANGES: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, MONTHS),
    (0, 6, WEEKDAYS),
    (0, 59, ()),
)

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. `day_or` says what two restricted day fields mean: either of them, or both at once.

    `years`, ascending, are those that it is restricted to; none where it is not.
    """

    minute: str
    hour: str
    day: str
    month: str
    weekday: str
    second: str = "0"
    _: KW_ONLY
    years: tuple[int, ...] | None = None
    day_or: bool

    @property
    def is_fixed(self) -> bool:
        """Whether it names times of day; one whose minute or hour starts with a star means *every so often* instead.

        This is the line that Debian's cron draws for its rules about changes of the clock.
        """
        return not self.minute.startswith("*") and not self.hour.startswith("*")

    def walls(self, after: datetime) -> Iterator[datetime]:
        """The walls that match, ascending, strictly after a wall; ends when nothing matches for fifty years."""
        return self._walls(after) if self.years is None else self._walls_of_years(self.years, after)

    def _walls_of_years(self, years: tuple[int, ...], after: datetime) -> Iterator[datetime]:
        for year in years:
            if year < after.year:
                continue
            for wall in self._walls(max(after, datetime(year, 1, 1) - _SECOND)):
                if wall.year > year:
                    break
                yield wall
            else:
                return

    def _walls(self, after: datetime) -> Iterator[datetime]:
        # The days are put in afterwards, because CronSim by itself joins the two day fields as Debian's cron does:
        # *and* as soon as either of them starts with a star, even in `*/2`.
        cron = CronSim(f"{self.second} {self.minute} {self.hour} * {self.month} {self.weekday}", after)
        cron.days = cast(set[int], Field.DAY.parse(self.day))
        cron.day_and = not self.day_or or self._leaves_day_open(cron)
        return cron

    def _leaves_day_open(self, cron: CronSim) -> bool:
        """Whether a day field restricts nothing: a star, or all of its days beside one that has a star as well."""
        return (
            "*" in (self.day, self.weekday)
            or ("*" in self.weekday and cron.days.issuperset(range(1, 32)))
            or ("*" in self.day and cron.weekdays.issuperset(range(7)))
        )


@lru_cache(maxsize=1024)
def parse(text: str, *, day_or: bool = True) -> Cron:
    """The expression in `text`, else Invalid.

    Besides the plain language: names of months and days in any case, `?` for `*`, ranges over the end (`FRI-MON`,
    `22-2`), `L` and `LW` as day of the month, `5L` or `L5` and `5#2` as weekday, and `@daily` with its kin. A sixth
    field is the second, a seventh the year.
    """
    fields = ALIASES.get(text.strip().lower(), text).upper().split()
    if not 5 <= len(fields) <= 7:
        raise _refusal(text, f"has {len(fields)} field{'s' * (len(fields) != 1)}")
    try:
        plain = [_plain(field, *limits) for field, limits in zip(fields, _RANGES, strict=False)]
        cron = Cron(*plain, years=_years(fields[6]) if len(fields) == 7 else None, day_or=day_or)
        cron._walls(datetime(2000, 1, 1))
    except CronSimError as error:
        raise _refusal(text, f"has a {str(error).lower()}") from None
    return cron


def check(text: str, *, day_or: bool = True) -> None:
    """Raise Invalid for what is no cron expression, or one that no date meets."""
    if next(parse(text, day_or=day_or).walls(datetime(2000, 1, 1)), None) is None:
        raise Invalid(f"cron {text!r} never fires; no date meets its day, month and year", field="cron", value=text)


def _refusal(text: str, flaw: str) -> Invalid:
    form = "minute hour day-of-month month day-of-week [second [year]], such as '30 9 * * MON-FRI'"
    return Invalid(f"cron {text!r} {flaw}; write {form}", field="cron", value=text)


def _plain(field: str, low: int, high: int, names: tuple[str, ...]) -> str:
    """The field in the words that CronSim knows."""
    if field == "?":
        return "*"
    return ",".join(_plain_term(term, low, high, names) for term in field.split(","))


def _plain_term(term: str, low: int, high: int, names: tuple[str, ...]) -> str:
    if names is WEEKDAYS and re.fullmatch(r"L[0-7]", term):
        return term[1] + "L"
    if not (bounds := re.fullmatch(r"(\w+)-(\w+)(?:/([1-9][0-9]?))?", term, re.ASCII)):
        return term
    first, last = (names.index(end) if end in names else int(end) if end.isdigit() else -1 for end in bounds.groups()[:2])
    if not low <= last < first <= high:
        return term
    values = [*range(first, high + 1), *range(low, last + 1)]
    return ",".join(str(value) for value in values[:: int(bounds[3] or 1)])


def _years(field: str) -> tuple[int, ...] | None:
    """The years of the seventh field."""
    if field == "*":
        return None
    years: set[int] = set()
    for term in field.split(","):
        found = re.fullmatch(r"(?:(\*)|(\d{4})(?:-(\d{4}))?)(?:/([1-9]\d?))?", term, re.ASCII)
        if not found:
            raise CronSimError("Bad year")
        star, first, last, step = found.groups()
        low = YEARS[0] if star else int(first)
        high = int(last) if last else YEARS[-1] if star or step else low
        if not YEARS[0] <= low <= high <= YEARS[-1]:
            raise CronSimError("Bad year")
        years.update(range(low, high + 1, int(step or 1)))
    return tuple(sorted(years))
