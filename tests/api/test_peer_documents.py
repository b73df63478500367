"""What the peer's OpenAPI documents have, ours has: every path, verb, query parameter, field, enum value and status.
What they let a body's field be, ours lets it be: null, left out, or as long or as great.

Each difference is a line such as `POST /deployments body.version_info`, or `POST /flows body.name maxLength 255` (`{}`
stands for a value in a path). What is left out, or refused, on purpose has its reason here; anything else fails.
"""

import re
from collections.abc import Iterator
from operator import gt, lt
from pathlib import Path
from typing import Any

import pytest
from peer_operations import operations, read_table

from headgate.server import openapi_document

TABLE = Path(__file__).with_name("peer_operations.json")

ON_PURPOSE = {
    r"POST /artifacts status 200": "every artifact is new: 201, as that server really answers",
    r"\w+ /automations.* (body|answer)\.(trigger|actions\w*)\..*": "they are kept as documents, whatever fields they have",
    r"GET /admin/settings answer.*": "Headgate's settings are its own",
    r".* body\.state\.(id|timestamp)": "the server's clock dates states, so that no caller's is needed to be right",
    r".* (answer|body)\.(schedules\.)?(catchup|max_active_runs)": "never did anything, and no client reads it",
    r".*/deployments\S* (answer|body)\.manifest_path": "of 2.x before work pools; nothing reads it",
    r".*/deployments\S* answer\.infra_overrides": "clients of 2.x read `job_variables` as well",
    r".*/deployments\S* body\.version_info": "no client reads it back; `version` is kept",
    r"PATCH /deployments/{}/schedules/{} body\.replaces": "says which schedule a deploy means; here the path does",
    r".* (answer|body)\.filter\.(tags|deployment_ids)": "a queue's filter is kept as it comes, and selects nothing",
}
"""Differences (a pattern for the whole line) and why they are to stay."""

STILL_OPEN = (
    r"\w+ /(automations/templates)\b.*",
    r"\w+ /(events|templates|observed-states)\b.*",
    r"\w+ /(task_workers)\b.*",
    r"POST /flow_runs/bulk_set_state answer\.results\.state",
)
"""Differences that are being worked on."""

COUNTED = "limit|concurrency_limit|slots|active_slots|denied_slots|max_retries|retries|retry_delay|retry_delay_seconds"
WHOLE = "2147483647|9223372036854775807|9007199254740992"

NARROWER_ON_PURPOSE = {
    rf".* maximum ({WHOLE})": "the greatest that both databases hold, or that counts pages",
    r".* minimum -2147483648": "the least that both databases hold",
    rf".*\.({COUNTED}|heartbeat_interval_seconds|slot_decay_per_second|max_runs|min_runs|min_time) minimum 0": (
        "fewer than none means nothing"
    ),
    r".*\.(max_scheduled_runs|priority) minimum 1": "that server refuses it, too, though its document does not say so",
    r".*\.(retry_delay|retry_delay_seconds|heartbeat_interval_seconds) maximum 31622400": "a year",
    r".*\.(min_time|slot_decay_per_second) maximum 1000000000": "beyond what dates and slots can be reckoned with",
    r".* body\.time_interval maximum 1000000": "beyond what dates can be reckoned with",
    r".* body\.priority maximum 1000000": "more places than anybody has queues",
    r".*\.(name|work_queue_name) (maxLength 255|minLength 1)": "names stand in paths and indexes",
    r".*\.work_queue_name pattern .*": "no queue has such a name",
    r".*\.(name|key|slug) pattern .*": "that server refuses it, too, though its document does not say so",
    r".* body\.(key|tag|slug) minLength 1": "nobody could ask for it by its name",
    r".* body\.(tag maxLength 250|key maxLength 1000|idempotency_key maxLength 500)": "it is found by an index",
    r".* body\.limit maximum 10000": "a page; who wants more asks again",
    r"POST /deployments/{}/schedule body\.max_runs maximum 1000": "so many are made in one transaction",
    r"POST /events body\.event maxLength 1024": "that server refuses it, too, though its document does not say so",
    r"POST /events body\.related maxItems 100": "that server refuses it, too, though its document does not say so",
    r"PATCH /deployments/{} body\.(parameters|enforce_parameter_schema) no null": "a 409 there: it must have some",
    r"PATCH \S+ body\.name no null": "a 409 there: it must have one",
    r"PATCH \S+ body\.(schedules\.)?schedule no null": "there is no schedule without one",
}
"""What ours refuses and the peer's documents do not (a pattern for the whole line), and why."""


def lacking(wanted: dict[str, Any], had: dict[str, Any], at: str) -> Iterator[str]:
    """Every way into `wanted` that `had` has not."""
    for name, inner in wanted.items():
        if name.startswith("?"):
            continue
        way = f"{at}{name}" if name.startswith("=") else f"{at}.{name}"
        if name not in had:
            yield way
        else:
            yield from lacking(inner, had[name], way)


def narrower(theirs: dict[str, Any], ours: dict[str, Any], at: str) -> Iterator[str]:
    """Every way into both where ours takes less than theirs."""
    known, own = bounds(theirs), bounds(ours)
    for key, bound in own.items():
        if key == "required":
            tighter = key not in known
        elif key in LIMITS:
            tighter = key not in known or LIMITS[key](float(bound), float(known[key]))
        else:
            tighter = key == "pattern" and known.get(key) != bound
        if tighter:
            yield f"{at} {key} {bound}".rstrip()
    if "null" in known and "null" not in own:
        yield f"{at} no null"
    for name in ours.keys() & theirs.keys():
        if not name.startswith(("=", "?")):
            yield from narrower(theirs[name], ours[name], f"{at}.{name}")


def bounds(outline: dict[str, Any]) -> dict[str, str]:
    """What a field takes."""
    told = (name[1:].partition("=") for name in outline if name.startswith("?"))
    return {key: value for key, _, value in told}


LIMITS = dict.fromkeys(("minimum", "minLength", "minItems"), gt) | dict.fromkeys(("maximum", "maxLength", "maxItems"), lt)
"""By the bound: when one of ours takes less than theirs."""


def both() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The operations of theirs, each with ours, or with nothing."""
    ours = operations(openapi_document())
    for version in read_table(TABLE.read_text("utf-8")).values():
        for name, theirs in version.items():
            yield name, theirs, ours.get(name, {})


def differences() -> set[str]:
    found: set[str] = set()
    for name, theirs, own in both():
        if not own:
            found.add(name)
        else:
            ways = [f"query.{each}" for each in theirs["query"] if each not in own["query"]]
            ways += [*lacking(theirs["body"], own["body"], "body"), *lacking(theirs["answer"], own["answer"], "answer")]
            if theirs["status"] not in own["statuses"]:
                ways.append(f"status {theirs['status']}")
            found |= {f"{name} {way}" for way in ways}
    return found


FOUND = sorted(differences())
REFUSED = sorted({f"{name} {way}" for name, a, b in both() if b for way in narrower(a["body"], b["body"], "body")})


def test_ours_has_what_the_peers_documents_have() -> None:
    accounted = (*ON_PURPOSE, *STILL_OPEN)
    missing = [line for line in FOUND if not any(re.fullmatch(pattern, line) for pattern in accounted)]
    assert missing == []


@pytest.mark.parametrize("pattern", ON_PURPOSE)
def test_what_is_left_out_on_purpose_is_left_out(pattern: str) -> None:
    assert any(re.fullmatch(pattern, line) for line in FOUND), f"{pattern!r} excuses nothing any more; take it out."


def test_ours_takes_what_the_peers_documents_take() -> None:
    refused = [line for line in REFUSED if not any(re.fullmatch(pattern, line) for pattern in NARROWER_ON_PURPOSE)]
    assert refused == []


@pytest.mark.parametrize("pattern", NARROWER_ON_PURPOSE)
def test_what_is_refused_on_purpose_is_refused(pattern: str) -> None:
    assert any(re.fullmatch(pattern, line) for line in REFUSED), f"{pattern!r} excuses nothing any more; take it out."


def test_the_walk_finds_what_is_narrower() -> None:
    theirs = {"a": {"?null": {}, "?maximum=50": {}, "?minLength=1": {}, "b": {}}, "c": {}}
    assert list(narrower(theirs, theirs, "body")) == []
    wider = {"a": {"?null": {}, "?maximum=51": {}, "b": {}}, "d": {"?required": {}}}
    assert list(narrower(theirs, wider, "body")) == []
    ours = {"a": {"?maximum=49.5": {}, "?minLength=2": {}, "b": {"?required": {}, "?pattern=x": {}}}}
    assert sorted(narrower(theirs, ours, "body")) == [
        "body.a maximum 49.5",
        "body.a minLength 2",
        "body.a no null",
        "body.a.b pattern x",
        "body.a.b required",
    ]


def test_the_walk_finds_what_is_missing() -> None:
    assert list(lacking({"a": {"b": {}, "=X": {}}, "c": {}}, {"a": {"d": {}}}, "body")) == ["body.a.b", "body.a=X", "body.c"]
