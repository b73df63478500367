"""Filters of events as SQL conditions over a source's columns; `core.event_filters` says the same of one event."""

from uuid import UUID

from headgate.core.event_filters import each, values_of, words
from headgate.core.run_events import PREFIX
from headgate.schema.events import (
    RESOURCE,
    ROLE,
    AnyResourceFilter,
    EventFilter,
    EventNameFilter,
    RelatedFilter,
    ResourceFilter,
    Wanted,
)
from headgate.schema.filters import Operator
from headgate.store.event_sources import Source
from headgate.store.filters import Params, joined


def event_condition(f: EventFilter, source: Source, p: Params, dialect: str) -> str:
    """What the filter means, of this source."""
    write = _Writer(source, p, dialect)
    tests: list[str | None] = [
        write.bound(">=", f.occurred.since),
        write.bound("<=", f.occurred.until),
        write.among(source.columns["id"], [*f.id.id], "uuid") if f.id.id else None,
        write.named(f.event) if f.event else None,
        write.resource(f.resource) if f.resource else None,
        *(write.related(related) for related in each(f.related)),
        *(write.any_resource(resource) for resource in each(f.any_resource)),
        write.says(f.text.query) if f.text else None,
    ]
    return joined(tests)


def reaches_runs(f: EventFilter) -> bool:
    """Whether events of runs' states can be among those that the filter means."""
    if f.event is None:
        return True
    names, starts = f.event.name, f.event.prefix
    if names and not any(name.startswith(PREFIX) for name in names):
        return False
    return not starts or any(start.startswith(PREFIX) or PREFIX.startswith(start) for start in starts)


def runs_meant(f: EventFilter) -> list[UUID] | None:
    """The runs outside of which no state's event can match; None when there is no such bound."""
    bounds = [f.resource.id] if f.resource and f.resource.id else []
    bounds += [each.id for each in each(f.any_resource) if each.id and all(id.startswith(PREFIX) for id in each.id)]
    return [id for text in bounds[0] if (id := _run_id(text))] if bounds else None


def _run_id(text: str) -> UUID | None:
    try:
        return UUID(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else None
    except ValueError:
        return None


class _Writer:
    """Writes conditions over one source's columns, their values in `p`."""

    def __init__(self, source: Source, p: Params, dialect: str) -> None:
        self._columns = source.columns
        self._p = p
        self._sqlite = dialect == "sqlite"

    def bound(self, sign: str, time: object) -> str | None:
        return None if time is None else f"{self._columns['occurred']} {sign} {self._p.one(time, 'timestamptz')}"

    def among(self, expression: str, values: list[object], kind: str = "text") -> str:
        return f"{expression} IN {self._p.many(values, kind)}"

    def named(self, f: EventNameFilter) -> str:
        name = self._columns["event"]
        return joined(
            [
                self._starts(name, f.prefix) if f.prefix else None,
                f"NOT {self._starts(name, f.exclude_prefix)}" if f.exclude_prefix else None,
                self.among(name, [*f.name]) if f.name else None,
                f"NOT {self.among(name, [*f.exclude_name])}" if f.exclude_name else None,
            ]
        )

    def resource(self, f: ResourceFilter) -> str:
        return self._is(f, self._columns["resource_id"], self._columns["resource"])

    def related(self, f: RelatedFilter) -> str | None:
        value, pairs = "x.value", f.resources_in_roles
        id, role = self._label(value, RESOURCE), self._label(value, ROLE)
        in_roles = [f"({id} = {self._p.one(a, 'text')} AND {role} = {self._p.one(b, 'text')})" for a, b in pairs or ()]
        tests = [
            self.among(id, [*f.id]) if f.id else None,
            self.among(role, [*f.role]) if f.role else None,
            joined([*in_roles], Operator.OR) if in_roles else None,
            self._labelled(f.labels, value),
        ]
        return self._some(joined(tests)) if any(tests) else None

    def any_resource(self, f: AnyResourceFilter) -> str:
        own = self._is(f, self._columns["resource_id"], self._columns["resource"])
        return joined([own, self._some(self._is(f, self._label("x.value", RESOURCE), "x.value"))], Operator.OR)

    def says(self, query: str) -> str:
        parts = (self._columns[name] for name in ("event", "resource", "related", "payload"))
        text = "lower(" + " || ' ' || ".join(f"COALESCE({part}, '')" for part in parts) + ")"
        wanted = words(query)
        return joined(
            [
                joined([self._has(text, word) for word in wanted.any], Operator.OR) if wanted.any else None,
                *(self._has(text, word) for word in wanted.all),
                *(f"NOT {self._has(text, word)}" for word in wanted.none),
            ]
        )

    def _is(self, f: ResourceFilter | AnyResourceFilter, id: str, labels: str) -> str:
        return joined(
            [
                self.among(id, [*f.id]) if f.id else None,
                self._starts(id, f.id_prefix) if f.id_prefix else None,
                self._labelled(f.labels, labels),
            ]
        )

    def _some(self, condition: str) -> str:
        """Of one of the related resources, `x.value`."""
        related = self._columns["related"]
        rows = f"json_each({related}) x" if self._sqlite else f"jsonb_array_elements(CAST({related} AS jsonb)) AS x(value)"
        return f"EXISTS (SELECT 1 FROM {rows} WHERE {condition})"

    def _labelled(self, wanted: Wanted | None, labels: str) -> str | None:
        if not wanted:
            return None
        return joined([self._fits(self._label(labels, name), values_of(values)) for name, values in wanted.items()])

    def _label(self, labels: str, name: str) -> str:
        if self._sqlite and '"' in name:  # its paths have no way to write that
            return f"(SELECT y.value FROM json_each({labels}) y WHERE y.key = {self._p.one(name, 'text')})"
        if self._sqlite:
            return f"json_extract({labels}, {self._p.one(_path(name), 'text')})"
        return f"(CAST({labels} AS jsonb) ->> {self._p.one(name, 'text')})"

    def _fits(self, value: str, wanted: list[str]) -> str:
        tests = []
        for asked in wanted:
            word = "NOT " if asked.startswith("!") else ""
            pattern = asked.removeprefix("!")
            if self._sqlite:
                tests.append(f"{value} {word}GLOB {self._p.one(pattern.replace('[', '[[]'), 'text')}")
            else:
                translated = pattern.translate(_LIKE)
                tests.append(f"{value} {word}LIKE {self._p.one(translated, 'text')} ESCAPE '\\'")
        return joined([*tests], Operator.OR) if tests else "FALSE"

    def _starts(self, expression: str, starts: list[str]) -> str:
        return joined(
            [f"substr({expression}, 1, {len(start)}) = {self._p.one(start, 'text')}" for start in starts], Operator.OR
        )

    def _has(self, text: str, word: str) -> str:
        function = "instr" if self._sqlite else "strpos"
        return f"({function}({text}, {self._p.one(word, 'text')}) > 0)"


_LIKE = str.maketrans({"*": "%", "?": "_", "\\": "\\\\", "%": "\\%", "_": "\\_"})


def _path(label: str) -> str:
    """SQLite's path of a key."""
    return f'$."{label}"'
