"""What the OpenAPI document says of routes, and the page made of it."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.api.app import create_app
from headgate.api.openapi import as_text, build_openapi, page
from headgate.api.routing import Answer, Router
from headgate.settings import Settings

Ask = Callable[..., Awaitable[Any]]


class Thing(Struct):
    """A thing.

    - it has a name </script>;
    """

    id: UUID
    name: Annotated[str, Meta(min_length=1)]
    parent: "Thing | None" = None


class ThingUpdate(Struct):
    name: str | UnsetType = UNSET


things = Router("/things", tag="Things")


@things.post("/", status=201)
async def create_thing(scope: Any, body: Thing) -> Answer[Thing]:
    """Create a thing.

    An existing one is answered instead.
    """
    return Answer(body, 200)


@things.get("/{id}")
async def read_thing(scope: Any, id: UUID) -> Thing:
    """One thing."""
    raise NotImplementedError


@things.patch("/{id}", status=204)
async def update_thing(scope: Any, id: UUID, body: ThingUpdate) -> None:
    """Change a thing."""


@things.post("/filter")
async def read_things(scope: Any, body: ThingUpdate | None) -> list[Thing]:
    """Things that match."""
    return []


others = Router(tag="Admin")


@others.get("/version")
async def read_version(deep: bool, limit: Annotated[int, Meta(ge=1)] = 200) -> str:
    return ""


def build(*routers: Router) -> dict[str, Any]:
    return build_openapi(routers or (things, others), title="Test", version="1.2")


def refs(node: Any) -> set[str]:
    """Every `$ref` below `node`."""
    match node:
        case dict():
            own = {node["$ref"]} if "$ref" in node else set()
            return own.union(*(refs(value) for value in node.values()))
        case list():
            return set().union(*(refs(value) for value in node))
        case _:
            return set()


def test_every_route_is_an_operation_named_after_its_function() -> None:
    found = {
        (path, verb): operation["operationId"]
        for path, verbs in build()["paths"].items()
        for verb, operation in verbs.items()
    }
    assert found == {
        ("/things/", "post"): "create_thing",
        ("/things/filter", "post"): "read_things",
        ("/things/{id}", "get"): "read_thing",
        ("/things/{id}", "patch"): "update_thing",
        ("/version", "get"): "read_version",
    }


def test_docstrings_are_summaries_and_descriptions() -> None:
    operation = build()["paths"]["/things/"]["post"]
    assert operation["summary"] == "Create a thing."
    assert operation["description"] == "An existing one is answered instead."
    assert operation["tags"] == ["Things"]


def test_parameters_have_their_place_type_and_default() -> None:
    paths = build()["paths"]
    assert paths["/things/{id}"]["get"]["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    ]
    assert paths["/version"]["get"]["parameters"] == [
        {"name": "deep", "in": "query", "required": True, "schema": {"type": "boolean"}},
        {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1, "default": 200}},
    ]


def test_bodies_are_required_unless_they_may_be_left_out() -> None:
    paths = build()["paths"]
    assert paths["/things/"]["post"]["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
    }
    assert paths["/things/filter"]["post"]["requestBody"]["required"] is False


@pytest.mark.parametrize(
    ("path", "verb", "statuses"),
    [
        ("/things/", "post", {"200", "201", "422", "default"}),
        ("/things/filter", "post", {"200", "422", "default"}),
        ("/things/{id}", "get", {"200", "404", "default"}),
        ("/things/{id}", "patch", {"204", "404", "422", "default"}),
        ("/version", "get", {"200", "422", "default"}),
    ],
)
def test_statuses_are_those_that_can_be(path: str, verb: str, statuses: set[str]) -> None:
    responses = build()["paths"][path][verb]["responses"]
    assert set(responses) == statuses
    assert "content" not in responses.get("204", {})


def test_every_reference_leads_to_a_component() -> None:
    document = build()
    assert {ref.rpartition("/")[2] for ref in refs(document)} == set(document["components"]["schemas"])


def test_the_same_routes_in_another_order_give_the_same_text() -> None:
    assert as_text(build(things, others)) == as_text(build(others, things))
    assert msgspec.json.decode(as_text(build())) == build()


def test_descriptions_of_records_are_not_indented() -> None:
    description = build()["components"]["schemas"]["Thing"]["description"]
    assert description == "A thing.\n\n- it has a name </script>;"


def test_two_operations_of_one_name_are_refused() -> None:
    twin = Router("/twin")

    @twin.get("/")
    async def read_thing() -> None: ...

    with pytest.raises(ValueError, match="occur twice: read_thing"):
        build(things, twin)


async def test_the_document_and_its_page_are_served(ask: Ask) -> None:
    app = create_app(routers=[things, others], make_scope=lambda request: None, settings=Settings())
    document = await ask(app, "GET", "/api/openapi.json")
    assert document.headers["content-type"] == "application/json"
    assert document.json["info"]["title"] == "Headgate"
    assert document.json["servers"] == [{"url": "/api"}]
    docs = await ask(app, "GET", "/docs")
    assert docs.headers["content-type"].startswith("text/html")


def test_the_page_holds_the_document_and_loads_nothing() -> None:
    html = page(as_text(build()))
    data = re.search(r'<script type="application/json" id="document">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert msgspec.json.decode(data[1]) == build()
    assert not re.search(r'(src|href)="(https?:)?//|url\(|import |fetch\(', html.replace(data[1], ""))
