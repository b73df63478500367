"""What the peer's OpenAPI documents have, ours has: every path, verb, query parameter, field, enum value and status.

Each difference is a line such as `POST /deployments body.version_info` (`{}` stands for a value in a path). What is left
out on purpose has its reason here; anything else fails.
"""

import re
from collections.abc import Iterator
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


def lacking(wanted: dict[str, Any], had: dict[str, Any], at: str) -> Iterator[str]:
    """Every way into `wanted` that `had` has not."""
    for name, inner in wanted.items():
        way = f"{at}{name}" if name.startswith("=") else f"{at}.{name}"
        if name not in had:
            yield way
        else:
            yield from lacking(inner, had[name], way)


def differences() -> set[str]:
    ours = operations(openapi_document())
    found: set[str] = set()
    for version in read_table(TABLE.read_text("utf-8")).values():
        for name, theirs in version.items():
            if name not in ours:
                found.add(name)
                continue
            own = ours[name]
            ways = [f"query.{each}" for each in theirs["query"] if each not in own["query"]]
            ways += [*lacking(theirs["body"], own["body"], "body"), *lacking(theirs["answer"], own["answer"], "answer")]
            if theirs["status"] not in own["statuses"]:
                ways.append(f"status {theirs['status']}")
            found |= {f"{name} {way}" for way in ways}
    return found


FOUND = sorted(differences())


def test_ours_has_what_the_peers_documents_have() -> None:
    accounted = (*ON_PURPOSE, *STILL_OPEN)
    missing = [line for line in FOUND if not any(re.fullmatch(pattern, line) for pattern in accounted)]
    assert missing == []


@pytest.mark.parametrize("pattern", ON_PURPOSE)
def test_what_is_left_out_on_purpose_is_left_out(pattern: str) -> None:
    assert any(re.fullmatch(pattern, line) for line in FOUND), f"{pattern!r} excuses nothing any more; take it out."


def test_the_walk_finds_what_is_missing() -> None:
    assert list(lacking({"a": {"b": {}, "=X": {}}, "c": {}}, {"a": {"d": {}}}, "body")) == ["body.a.b", "body.a=X", "body.c"]
