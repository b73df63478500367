"""The OpenAPI document of the routes, drawn from the same signatures that serve them, and a page to read it."""

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec

from headgate.api.errors import Problem, ValidationProblem
from headgate.api.routing import ABSENT, Parameter, Route, Router

_REF = "#/components/schemas/{name}"
_PAGE = Path(__file__).with_name("docs.html")
_REASONS = {200: "Done", 201: "Created", 202: "Accepted", 204: "Done, nothing to tell"}


def build_openapi(routers: Iterable[Router], *, title: str, version: str, root: str = "/api") -> dict[str, Any]:
    """The OpenAPI 3.1 document of `routers`, served below `root`. The same routes give the same document, key by key."""
    routes = sorted((route for router in routers for route in router.routes), key=lambda route: (route.path, route.method))
    _refuse_twins(routes)
    schemas, components = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": root}],
        "tags": [{"name": tag} for tag in sorted({route.tag for route in routes if route.tag})],
        "paths": paths,
        "components": {"schemas": {name: _tidied(components[name]) for name in sorted(components)}},
    }


def as_text(document: Mapping[str, Any]) -> str:
    """A document as it is served and committed: indented, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def page(document: str) -> str:
    """A page that shows a document, given as JSON; it loads nothing from anywhere."""
    # As data inside a script element, JSON may not contain the end of that element.
    return _PAGE.read_text(encoding="utf-8").replace("{{ document }}", document.replace("<", "\\u003c"))


_Schemas = Mapping[Any, dict[str, Any]]


def _refuse_twins(routes: list[Route]) -> None:
    twins = [name for name, count in Counter(route.handler.__name__ for route in routes).items() if count > 1]
    if twins:
        raise ValueError(
            f"Handlers' names are operation ids and must differ; these occur twice: {', '.join(sorted(twins))}."
        )


def _schemas(routes: list[Route]) -> tuple[_Schemas, dict[str, Any]]:
    """The schema of every type that occurs, and the components that they refer to."""
    types: list[Any] = [Problem, ValidationProblem]
    for route in routes:
        types += [route.returns, *(each.type for each in (*route.in_path.values(), *route.in_query))]
        types += [] if route.body is None else [route.body.type]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(zip(map(_key, types), schemas, strict=True)), components


def _key(type: Any) -> str:
    """Types such as `Annotated[…]` with a pattern cannot be keys; how they print tells them apart."""
    return repr(type)


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(route.handler.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {"operationId": route.handler.__name__, "summary": summary}
    if description.strip():
        operation["description"] = description.strip()
    if route.tag:
        operation["tags"] = [route.tag]
    parameters = [_parameter(each, "path", schemas) for each in route.in_path.values()]
    parameters += [_parameter(each, "query", schemas) for each in route.in_query]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = _json(schemas[_key(route.body.type)])
        operation["requestBody"] = {"required": not route.body.optional, "content": content}
    operation["responses"] = _responses(route, schemas)
    return operation


def _parameter(parameter: Parameter, place: str, schemas: _Schemas) -> dict[str, Any]:
    required = parameter.default is ABSENT
    schema = schemas[_key(parameter.type)]
    if not required:
        schema = {**schema, "default": msgspec.to_builtins(parameter.default)}
    return {"name": parameter.key, "in": place, "required": required, "schema": schema}


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    """The route's own answers, a 404 or 422 where one can be, and the shape of every other refusal."""
    statuses = {route.status, 200, 201} if route.chooses_status else {route.status}
    answer: dict[str, Any] = {}
    if route.returns is not NoneType:
        answer["content"] = _json(schemas[_key(route.returns)])
    responses: dict[str, Any] = {
        str(status): {"description": _REASONS.get(status, "Done"), **(answer if status != 204 else {})}
        for status in sorted(statuses)
    }
    if route.in_path:
        responses["404"] = _refusal("No such record", Problem, schemas)
    if route.body is not None or route.in_query:
        responses["422"] = _refusal("A value is missing or not as it should be", ValidationProblem, schemas)
    responses["default"] = _refusal("Any other refusal", Problem, schemas)
    return responses


def _refusal(description: str, kind: type, schemas: _Schemas) -> dict[str, Any]:
    return {"description": description, "content": _json(schemas[_key(kind)])}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """A component whose description, taken from a docstring, has lost the source's indentation."""
    if "description" in schema:
        schema = {**schema, "description": inspect.cleandoc(schema["description"])}
    return schema
