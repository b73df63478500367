"""The committed document is the one that the app serves."""

from pathlib import Path
from typing import Any

from headgate.api.openapi import as_text
from headgate.server import openapi_document

COMMITTED = Path(__file__).parents[2] / "openapi.json"


def test_the_committed_document_is_that_of_the_app() -> None:
    message = "openapi.json is not what the routes say; write it anew with `.venv/bin/python docs/generate.py`."
    assert as_text(openapi_document()) == COMMITTED.read_text("utf-8"), message


def test_the_document_is_the_same_each_time() -> None:
    assert as_text(openapi_document()) == as_text(openapi_document())


async def test_the_app_serves_the_committed_document(api: Any) -> None:
    got = await api.get("/openapi.json")
    assert got.body.decode() == COMMITTED.read_text("utf-8")
