"""Draws the table of facts that `test_peer_documents` walks from OpenAPI documents of the peer's versions.

    python tests/api/peer_operations.py 3.9.1=new.json 2.20.27=old.json > tests/api/peer_operations.json

The documents come from the installed package (`create_app().openapi()`), which takes minutes to install: so the table, and
not the package, is what the suite reads. It holds names only: paths, verbs, parameters, fields, the values of enums. Of a
body's fields it also holds what they take: `?null`, `?required`, and bounds such as `?maximum=50`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]

BOUNDS = dict.fromkeys(("minimum", "minLength", "minItems"), min) | dict.fromkeys(("maximum", "maxLength", "maxItems"), max)
"""With what tells the widest of several."""


class Shape:
    """What a schema lets a value have: the fields of its objects by name, and the words of its enums."""

    def __init__(self, document: Document) -> None:
        self._components: dict[str, Any] = document.get("components", {}).get("schemas", {})

    def fields(self, schema: Any) -> dict[str, list[Any]]:
        """The objects' fields, whichever alternative or list they stand in, each with its schemas."""
        found: dict[str, list[Any]] = {}
        for each in self._alternatives(schema, seen=()):
            for name, inner in each.get("properties", {}).items():
                found.setdefault(name, []).append(inner)
        return found

    def words(self, schema: Any) -> set[str]:
        """The values of enums and constants."""
        return {
            str(word)
            for each in self._alternatives(schema, seen=())
            for word in (each["enum"] if "enum" in each else [each["const"]] if "const" in each else [])
            if word is not None
        }

    def facts(self, schema: Any) -> set[str]:
        """Whether the value may be null, and the widest bounds of its alternatives; of a list, not what its items are."""
        each = list(self._alternatives(schema, seen=(), items=False))
        found = {"?null"} if any(map(_takes_null, each)) else set()
        for key, widest in BOUNDS.items():
            if told := [_closed(key, one) for one in each if key in one or _exclusive(key) in one]:
                found.add(f"?{key}={widest(told)}")
        return found | {f"?pattern={one['pattern']}" for one in each if "pattern" in one and len(one["pattern"]) < 100}

    def requires(self, schemas: list[Any], name: str) -> bool:
        """Whether none of the objects that have the field may be without it."""
        objects = [each for schema in schemas for each in self._alternatives(schema, seen=()) if "properties" in each]
        return all(name in each.get("required", ()) for each in objects if name in each["properties"])

    def _alternatives(self, schema: Any, seen: tuple[str, ...], *, items: bool = True) -> Iterator[dict[str, Any]]:
        if not isinstance(schema, dict):
            return
        if (ref := schema.get("$ref")) is not None:
            name = ref.rpartition("/")[2]
            if name not in seen:
                yield from self._alternatives(self._components[name], (*seen, name), items=items)
            return
        yield schema
        for key in ("anyOf", "oneOf", "allOf"):
            for each in schema.get(key, ()):
                yield from self._alternatives(each, seen, items=items)
        if items:
            yield from self._alternatives(schema.get("items"), seen)
        # A mapping's values are not followed: its keys are the user's.

    def outline(self, schemas: list[Any], depth: int = 6, *, facts: bool = False) -> dict[str, Any]:
        """`{field: outline}` as deep as it goes, with enums as `{"=WORD": {}}`; empty for what has neither.

        With `facts`, what a field takes stands beside its own fields, as `{"?maximum=50": {}}`.
        """
        if not depth:
            return {}
        found: dict[str, list[Any]] = {}
        words: set[str] = set()
        for schema in schemas:
            words |= self.words(schema)
            for name, inner in self.fields(schema).items():
                found.setdefault(name, []).extend(inner)
        outline: dict[str, Any] = {f"={word}": {} for word in sorted(words)}
        for name, inner in sorted(found.items()):
            outline[name] = self.outline(inner, depth - 1, facts=facts)
            if facts:
                told = {fact for each in inner for fact in self.facts(each)}
                told |= {"?required"} if self.requires(schemas, name) else set()
                outline[name] |= {fact: {} for fact in sorted(told)}
        return outline


def operations(document: Document, *, root: str = "") -> dict[str, Any]:
    """By verb and path (names in braces left out): the query's names, outlines of body and answer, the statuses."""
    shape = Shape(document)
    found: dict[str, Any] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            statuses = sorted(code for code in operation["responses"] if code.startswith("2"))
            answer = operation["responses"][statuses[0]]
            found[f"{verb.upper()} {_anonymous(path.removeprefix(root))}"] = {
                "query": sorted(each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"),
                "body": shape.outline(_schema(operation.get("requestBody", {})), facts=True),
                "answer": shape.outline(_schema(answer)),
                "status": int(statuses[0]),
                "statuses": [int(status) for status in statuses],
            }
    return found


def _exclusive(key: str) -> str:
    return f"exclusive{key[0].upper()}{key[1:]}"


def _closed(key: str, schema: dict[str, Any]) -> int | float:
    """The bound, of whole numbers as one that may itself be reached."""
    step = {"minimum": 1, "maximum": -1}.get(key, 0) if schema.get("type") == "integer" else 0
    bound = schema[key] if key in schema else schema[_exclusive(key)] + step
    return int(bound) if bound == int(bound) else bound


def _takes_null(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    told = kind is not None or set(schema) & {"$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties"}
    return not told or kind == "null" or (isinstance(kind, list) and "null" in kind) or None in schema.get("enum", ())


def _anonymous(path: str) -> str:
    parts = ("{}" if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts).removesuffix("/")


def _schema(holder: dict[str, Any]) -> list[Any]:
    return [each["schema"] for each in holder.get("content", {}).values() if "schema" in each]


class Folded:
    """Outlines, each distinct one once: a node is `{field: index}`."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, int]] = []
        self._index: dict[str, int] = {}

    def fold(self, outline: dict[str, Any]) -> int:
        """The index of `outline`."""
        node = {name: self.fold(inner) for name, inner in outline.items()}
        key = json.dumps(node, sort_keys=True)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(node)
        return self._index[key]

    def unfold(self, index: int) -> dict[str, Any]:
        """The outline at `index`."""
        return {name: self.unfold(inner) for name, inner in self.nodes[index].items()}


def write_table(documents: dict[str, Document]) -> str:
    """The committed form of the operations of each version's document: a line for each operation and each outline."""
    folded = Folded()
    lines = []
    for version, document in documents.items():
        for name, each in sorted(operations(document, root="/api").items()):
            body, answer = folded.fold(each["body"]), folded.fold(each["answer"])
            lines.append(json.dumps([version, name, each["query"], body, answer, each["status"]]))
    nodes = [json.dumps(node) for node in folded.nodes]
    return '{"operations": [\n' + ",\n".join(lines) + '\n], "outlines": [\n' + ",\n".join(nodes) + "\n]}\n"


def read_table(text: str) -> dict[str, dict[str, Any]]:
    """What `operations` gave, by version."""
    table = json.loads(text)
    folded = Folded()
    folded.nodes = table["outlines"]
    found: dict[str, dict[str, Any]] = {}
    for version, name, query, body, answer, status in table["operations"]:
        found.setdefault(version, {})[name] = {
            "query": query,
            "body": folded.unfold(body),
            "answer": folded.unfold(answer),
            "status": status,
        }
    return found


if __name__ == "__main__":
    pairs = [argument.partition("=")[::2] for argument in sys.argv[1:]]
    sys.stdout.write(write_table({version: json.loads(Path(place).read_text()) for version, place in pairs}))
