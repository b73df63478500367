"""Finds the route of a request: fixed paths by one look-up, the others down a tree of path segments."""

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.api.routing import Parameter, Route

Found = tuple[Route, dict[str, Any]]
"""A route and its path's values, converted; shared between requests, not to be changed."""


class Table:
    """The routes of an app, below `root`.

    Paths match with and without a trailing slash; fixed words win over `{names}`; a path whose values do not
    have the route's types does not match.
    """

    def __init__(self, routes: Iterable[Route], *, root: str = "") -> None:
        self._fixed: dict[tuple[str, str], Found] = {}
        self._trees: dict[str, _Node] = {}
        for route in routes:
            self._add(route, (root + route.path).removesuffix("/"))

    def find(self, method: str, path: str) -> Found | None:
        """The route that answers `method` at `path`, if there is one; no record's name has a NUL in it."""
        path = path.removesuffix("/")
        if "\0" in path:
            return None
        if (fixed := self._fixed.get((method, path))) is not None:
            return fixed
        tree = self._trees.get(method)
        return tree.find(path.split("/"), 0, ()) if tree is not None else None

    def methods(self, path: str) -> list[str]:
        """The verbs that `path` answers to."""
        every = {method for method, _ in self._fixed} | set(self._trees)
        found = {method for method in every if self.find(method, path) is not None}
        return sorted(found | {"HEAD"} if "GET" in found else found)

    def _add(self, route: Route, path: str) -> None:
        if not route.in_path:
            if self._fixed.setdefault((route.method, path), (route, {}))[0] is not route:
                raise TypeError(f"{route.method} {path} is registered twice.")
            return
        node = self._trees.setdefault(route.method, _Node())
        for part in path.split("/"):
            node = node.below(part)
        if node.route is not None:
            raise TypeError(f"{route.method} {path} matches the same requests as {node.route.path}.")
        node.route = route
        node.parameters = tuple(route.in_path.values())


class _Node:
    """A place in the tree of path segments of one verb."""

    __slots__ = ("any", "parameters", "route", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.route: Route | None = None
        self.parameters: tuple[Parameter, ...] = ()

    def below(self, part: str) -> "_Node":
        """The node under this one for a segment of a route's path, made if need be."""
        if not part.startswith("{"):
            return self.words.setdefault(part, _Node())
        self.any = self.any or _Node()
        return self.any

    def find(self, parts: list[str], at: int, taken: tuple[str, ...]) -> Found | None:
        """The route that `parts` from index `at` on lead to, given the values taken on the way."""
        if at == len(parts):
            return self._convert(taken)
        part = parts[at]
        word = self.words.get(part)
        if word is not None and (found := word.find(parts, at + 1, taken)) is not None:
            return found
        return self.any.find(parts, at + 1, (*taken, part)) if self.any is not None and part else None

    def _convert(self, taken: tuple[str, ...]) -> Found | None:
        if self.route is None:
            return None
        try:
            values = {
                each.name: text if each.type is str else msgspec.convert(text, each.type, strict=False)
                for each, text in zip(self.parameters, taken, strict=True)
            }
        except msgspec.ValidationError:
            return None
        return self.route, values
