"""Whatever is sent, no route fails: it is taken, and then can be read and worked with, or it is refused with a reason."""

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from headgate.api.routes import ROUTERS
from headgate.api.routing import Route
from headgate.client.transport import Request, Response
from headgate.clock import FrozenClock
from headgate.core.blocks import checksum
from headgate.schema.block_schemas import NO_VERSION
from headgate.server import Running, call_app, running
from headgate.services.loops import late, scheduler
from headgate.services.loops.lifeline import Lifeline
from headgate.settings import Settings

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMES = ["pool", "default", "hello", "nightly", "w"]
"""Of records that exist."""

_KINDS = (
    *("flow", "deployment", "schedule", "flow_run", "queue", "variable", "agent", "concurrency_limit", "lease"),
    *("task_run", "task_run_state"),
    *("block_type", "block_schema", "block_document", "artifact", "saved_search", "automation", "notification"),
    "flow_run_state",
)
IDS = {kind: str(UUID(int=n)) for n, kind in enumerate(_KINDS, 1)}
"""What stands in generated calls for the ids of records that exist."""

USUAL = {"work_pool_name": "pool", "flow_name": "hello", "deployment_name": "nightly", "tag": "pool", "id_or_name": "pool"}
USUAL |= {"view": "demo-flows", "checksum": checksum({}), "version": NO_VERSION, "include_secrets": "true", "key": "pool"}
USUAL |= {"since": "2026-03-02T09:00:00"}
USUAL["page_token"] = base64.b64encode(b"[{}, 9, 1, 1]").decode()
"""What stands in paths most of the time."""

AGENT = str(UUID(int=99))
"""An agent makes its id up itself."""

DEEP = [json.loads("[" * depth + "]" * depth) for depth in (3, 60, 400)]

# What JSON can hold that has broken something somewhere; the first two of each list are harmless, and drawn as often
# as all of the others together.
TEXTS = [
    "x",
    "pool",
    "",
    *NAMES,
    "a/b",
    "50%",
    "x" * 300,
    "é" * 200,
    "🙂",
    "\0",
    "a\0b",
    "\ud800",
    "'; --",
    "{{ x }}",
    "../..",
]
INTS = [1, 2, 0, -1, 200, 201, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1, -(10**30)]
FLOATS = [0.5, 30, 0.0, -1.0, 1e-300, 1e9, 1e18, 1e300, float("inf"), float("-inf"), float("nan")]
TIMES = [
    "2026-03-02T09:00:00Z",
    "2026-03-02T09:00:00",
    "2026-03-02 10:00:00.5+00:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59:59.999999Z",
    "2026-02-30T00:00:00Z",
    "soon",
]
ANYTHING = [
    {},
    None,
    True,
    0,
    -1.5,
    10**30,
    "x",
    "\0",
    [],
    {"": []},
    {"a": {"b": [1, None]}},
    {"\0": 1},
    {"\ud800": 1},
    *DEEP,
]

# Fields whose texts and objects have a grammar of their own.
GRAMMARS: dict[str, list[Any]] = {
    "cron": [
        "0 * * * *",
        "* * * * *",
        "61 * * * *",
        "@daily",
        "0 0 30 2 *",
        "0 0 29 2 *",
        "*/0 * * * *",
        "a b c d e",
        "9" * 30,
    ],
    "rrule": [
        "FREQ=DAILY",
        "FREQ=SECONDLY",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "DTSTART:99991231T235959Z\nRRULE:FREQ=YEARLY",
        "DTSTART:00010101T000000Z\nRRULE:FREQ=DAILY;COUNT=1",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=MINUTELY;INTERVAL=" + "9" * 20,
        "RRULE:RRULE:",
    ],
    "interval": [60.0, 3600, 0.001, 1e-9, 0, -1, 1e300, 10**30],
    "timezone": ["UTC", "Europe/Berlin", "Mars/Base", "../../etc/passwd", "/etc/localtime", "", "EST5EDT", "\0"],
    "base_job_template": [
        {},
        {
            "job_configuration": {"a": "{{ headgate.variables.pool }}", "b": "x{{ prefect.blocks.secret.x }}"},
            "variables": {},
        },
        {"job_configuration": {"a": "{{ x }}"}, "variables": {"type": "object", "properties": {"x": {"type": "string"}}}},
        {"job_configuration": {"a": "{{ y }}"}, "variables": {"properties": {}}},
        {"job_configuration": [], "variables": 5},
        {"job_configuration": {}, "variables": {"$ref": "http://localhost/x"}},
    ],
    "parameter_openapi_schema": [
        {},
        {"type": "object", "properties": {"n": {"type": "integer"}}},
        {"type": "object", "required": ["n"]},
        {"$ref": "#"},
        {"$ref": "http://localhost/x"},
        {"type": 5},
        {"properties": {"n": {"pattern": "("}}},
    ],
    "all": [True, False],
    "dry_run": [True, True, False],
    "wait_seconds": [0, 0.0, -1, 31],  # the clock stands still, so that a call that waits would never end
    "trigger": [{"posture": "Reactive"}, {"type": "sequence", "triggers": [{"posture": "Proactive"}]}, {}, {"type": 5}],
    "parameters": [{}, {"n": 1}, {"n": "x"}, {"n": DEEP[1]}, {"\0": 1}],
}

RAW = [b"", b"{", b"null", b"\xff", b"[" * 5000 + b"]" * 5000, b"\x00"]

LEAVES: dict[type, list[Any]] = {
    inspect.DictType: [each for each in ANYTHING if isinstance(each, dict)],
    inspect.StrType: TEXTS,
    inspect.IntType: INTS,
    inspect.FloatType: FLOATS,
    inspect.BoolType: [True, False],
    inspect.DateTimeType: TIMES,
    inspect.NoneType: [None],
    inspect.AnyType: ANYTHING,
}


class Fuzz:
    """Draws calls; the same seed, the same calls."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def call(self, route: Route) -> tuple[str, str, bytes | None]:
        """Verb, target below the API's root, body."""
        noun = route.path.split("/")[1]
        at = {name: self.path_value(each.type, name, noun) for name, each in route.in_path.items()}
        asked = {each.key: self.path_value(each.type, each.name, noun) for each in route.in_query}
        target = route.path.format_map({name: quote(text, safe="") for name, text in at.items()})
        query = "?" + urlencode(asked) if asked else ""
        if route.body is None:
            return route.method, target + query, None
        if self.rarely(30):
            return route.method, target + query, self.random.choice(RAW)
        body = self.value(inspect.type_info(route.body.type), "")
        return route.method, target + query, json.dumps(body).encode()

    def pick(self, values: list[Any]) -> Any:
        """One of them; in half of the cases one of the first two."""
        return self.random.choice(values[:2] if self.rarely(2) else values)

    def rarely(self, times: int) -> bool:
        """True once in so many times."""
        return self.random.randrange(times) == 0

    def path_value(self, kind: Any, name: str, noun: str) -> str:
        if kind is UUID:
            return self.id_of(noun if name == "id" else name)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return str(self.random.choice([*kind, "none"]))
        usual = USUAL.get(name)
        usual = "pool" if noun in ("variables", "secrets") else usual
        usual = "pool" if noun.startswith("block") and name in ("slug", "block_document_name") else usual
        usual = self.random.choice(["default", "w", "q"]) if (noun, name) == ("work_pools", "name") else usual
        return self.random.choice([*NAMES, "none", "\0", "a b", "é"]) if usual is None or self.rarely(8) else usual

    def id_of(self, name: str) -> str:
        """The stand-in for the id of the record that `name` speaks of, most of the time."""
        name = name.replace("storage_block", "block_document")
        found = [id for kind, id in IDS.items() if kind in name]
        return found[-1] if found and not self.rarely(8) else self.random.choice([*IDS.values(), str(UUID(int=0)), "x"])

    def value(self, kind: Any, name: str) -> Any:
        """JSON that mostly fits `kind`, which is what `msgspec.inspect` says of a type; of the field `name`."""
        if name and self.rarely(25):
            return self.random.choice(ANYTHING)
        if name in GRAMMARS:
            return self.pick(GRAMMARS[name])
        match kind:
            case inspect.StructType(fields=fields):
                return self.struct(fields)
            case inspect.TupleType(item_types=types):
                return [self.value(each, name) for each in types]
            case inspect.UnionType(types=types):
                return self.value(self.random.choice(types), name)
            case inspect.ListType(item_type=item):
                return [self.value(item, name.rstrip("s")) for _ in range(self.random.randrange(3))]
            case inspect.Metadata(type=inner):
                return self.value(inner, name)
            case inspect.EnumType(cls=cls):
                return self.random.choice([member.value for member in cls])
            case inspect.UUIDType():
                return self.id_of(name)
        return self.pick(LEAVES[type(kind)])

    def struct(self, fields: Any) -> dict[str, Any]:
        """An object with all required keys, and some of the others."""
        share = self.random.choice([0.1, 0.3, 0.6])
        chosen = [field for field in fields if field.required or self.random.random() < share]
        if any(field.encode_name == "cron" for field in fields):
            chosen = self.schedule(fields)
        if any(field.encode_name == "confirm" for field in fields):
            chosen = list(fields)
        if any(field.encode_name == "dry_run" for field in fields) and not self.rarely(3):
            # Random filters are mostly refused, so that these calls would be.
            chosen = [field for field in fields if field.required or field.encode_name in ("all", "dry_run")]
        return {field.encode_name: self.value(field.type, field.encode_name) for field in chosen}

    def schedule(self, fields: Any) -> Any:
        """The fields of one kind of schedule."""
        wanted = self.random.choice([{"cron", "timezone"}, {"rrule", "timezone"}, {"interval", "anchor_date", "timezone"}])
        return [field for field in fields if field.encode_name in wanted]


ROUTES = {f"{route.method} {route.path}": route for router in ROUTERS for route in router.routes}


class Server:
    """The app with a record of every collection, on an event loop of its own."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = FrozenClock(NOW)
        self.settings = Settings(server_database_connection_url=url, server_encryption_key="k" * 43 + "=")
        self.system: Running = self.run(
            self.stack.enter_async_context(running(self.settings, with_loops=False, now=self.clock))
        )
        self.ids: dict[str, str] = {}
        self.fill()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def send(self, method: str, target: str, body: bytes | None) -> Response:
        async def call() -> Response:
            async with asyncio.timeout(20):
                return await call_app(self.system.app, Request(method, target, body, {}, 20.0))

        response: Response = self.run(call())
        return response

    def send_generated(self, method: str, target: str, body: bytes | None) -> Response:
        """Send with the ids of the records that exist now; those that it deletes are made anew."""
        for stand_in, id in self.ids.items():
            target = target.replace(stand_in, id)
            body = body and body.replace(stand_in.encode(), id.encode())
        response = self.send(method, target, body)
        if (response.status < 300 and method == "DELETE") or (response.status == 204 and "/admin/database/" in target):
            self.fill()
        return response

    def made(self, target: str, body: Any, *, may_exist: bool = False) -> Any:
        response = self.send("POST", target, json.dumps(body).encode())
        assert response.status in (200, 201, 409 if may_exist else 200), response.body
        return msgspec.json.decode(response.body)

    def fill(self) -> None:
        """Make what is missing."""
        self.made("/work_pools/", {"name": "pool", "type": "process"}, may_exist=True)
        self.send("PATCH", "/work_pools/pool", b'{"base_job_template": {}}')  # one that requires nothing of a deployment
        flow = self.made("/flows/", {"name": "hello"})
        schedules = [{"schedule": {"cron": "0 * * * *"}, "slug": "x"}]
        body = {"name": "nightly", "flow_id": flow["id"], "work_pool_name": "pool", "work_queue_name": "q", "paused": False}
        deployment = self.made(
            "/deployments/", body | {"schedules": schedules, "job_variables": {}, "enforce_parameter_schema": False}
        )
        run = self.made(f"/deployments/{deployment['id']}/create_flow_run", {})
        for noun in ("variables", "secrets"):
            self.made(f"/{noun}/", {"name": "pool", "value": "x"}, may_exist=True)
        [variable] = self.made("/variables/filter", {"variables": {"name": {"any_": ["pool"]}}})
        ids = [flow["id"], deployment["id"], deployment["schedules"][0]["id"], run["id"], deployment["work_queue_id"]]
        limit = self.made("/concurrency_limits/", {"tag": "pool", "concurrency_limit": 5})
        self.send("POST", "/concurrency_limits/tag/pool/reset", b"{}")
        self.made("/v2/concurrency_limits/", {"name": "pool", "limit": 1}, may_exist=True)
        held = self.made("/v2/concurrency_limits/increment-with-lease", {"names": ["tag:pool"], "slots": 1})
        task = self.made("/task_runs/", {"task_key": "t", "dynamic_key": "0", "flow_run_id": run["id"]})
        ids += [variable["id"], AGENT, limit["id"], held["lease_id"], task["id"], task["state_id"], *self.fill_blocks()]
        ids.append(run["state_id"])
        self.send("POST", f"/flow_runs/{run['id']}/input", b'{"key": "pool", "value": "1"}')
        self.made("/work_pools/pool/claim", {"worker": "w", "room": 0})
        self.made("/agents/claim", {"agent_id": AGENT, "pool": "pool", "room": 0})
        self.ids = dict(zip(IDS.values(), ids, strict=True))

    def fill_blocks(self) -> list[str]:
        """Blocks, and what is kept beside runs."""
        self.made("/block_types/", {"name": "pool", "slug": "pool"}, may_exist=True)
        kind = msgspec.json.decode(self.send("GET", "/block_types/slug/pool", None).body)
        schema = self.made("/block_schemas/", {"block_type_id": kind["id"], "capabilities": ["write-path"]})
        body = {"name": "pool", "block_type_id": kind["id"], "block_schema_id": schema["id"]}
        self.made("/block_documents/", body, may_exist=True)
        found = self.send("GET", "/block_types/slug/pool/block_documents/name/pool", None)
        document = msgspec.json.decode(found.body)["id"]
        artifact = self.made("/artifacts/", {"key": "pool"})
        search = msgspec.json.decode(self.send("PUT", "/saved_searches/", b'{"name": "pool"}').body)
        automation = self.made("/automations/", {"name": "pool", "trigger": {"posture": "Reactive"}, "actions": []})
        told = {"state_names": [], "tags": [], "block_document_id": document}
        policy = self.made("/flow_run_notification_policies/", told)
        records = [kind["id"], schema["id"], document]
        return [*records, artifact["id"], search["id"], automation["id"], policy["id"]]

    def work(self) -> None:
        """What the background jobs and a worker do with what is there now."""
        self.fill()
        self.clock.advance(minutes=2)
        for tick in (scheduler.tick, late.tick, Lifeline().tick):
            self.run(tick(self.system.scope))
        self.made("/work_pools/pool/claim", {"worker": "w", "room": 5, "prefetch_seconds": 86_400})

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server on either kind of database."""
    with asyncio.Runner() as runner:
        if request.param == "postgresql":
            url = runner.run(request.getfixturevalue("postgresql").empty())
        else:
            url = runner.run(request.getfixturevalue("sqlite_template").copy(tmp_path / "headgate.db"))
    server = Server(url)
    yield server
    server.close()


def check(call: tuple[str, str, bytes | None], route: Route, response: Response) -> None:
    """The answer is one that the route promises."""
    if response.headers.get("content-type", "").startswith("text/"):
        assert response.status < 400, call
        return
    answer = msgspec.json.decode(response.body) if response.body else None
    assert response.status < 500, (call, answer)
    if response.status >= 400:
        assert answer.keys() & {"detail", "exception_message"}, (call, answer)
    elif response.status != 204:
        msgspec.json.decode(response.body, type=route.returns)


CALLS = 24 * len(ROUTES)
"""Enough for every route to be answered; more, and other seeds, when something about the wire has changed."""

TRIES = 200
"""Further calls of a route that has not been answered by then."""

REFUSED = {"GET /csrf-token", "POST /deployments/bulk_delete", "POST /ui/task_runs/dashboard/counts"}
"""What is refused with these settings whatever is sent, or unless a filter happens to make sense."""


@pytest.mark.parametrize("seed", [1])
def test_no_call_fails_and_what_is_taken_can_be_worked_with(server: Server, seed: int) -> None:
    fuzz = Fuzz(seed)
    answered = set()
    for number in range(CALLS):
        name = fuzz.random.choice([*ROUTES])
        call = fuzz.call(ROUTES[name])
        response = server.send_generated(*call)
        check(call, ROUTES[name], response)
        answered |= {name} if response.status < 400 else set()
        if number % 250 == 249:
            server.work()
    for name in sorted(set(ROUTES) - REFUSED - answered):
        for _ in range(TRIES):
            call = fuzz.call(ROUTES[name])
            response = server.send_generated(*call)
            check(call, ROUTES[name], response)
            if response.status < 400:
                answered.add(name)
                break
    for name, route in ROUTES.items():
        if name.endswith("/filter") and "{" not in name:
            check(("POST", route.path, b"{}"), route, server.send("POST", route.path, b"{}"))
    assert answered >= set(ROUTES) - REFUSED, "calls that are only ever refused test nothing"
