"""Pauses over HTTP: what clients that know nothing of notes send, and what those that do may say."""

from typing import Any

import pytest

NOTE = {"pause_reason": "db upgrade", "paused_by": "ann"}
KEPT = {"at": "2026-03-02T09:00:00Z", "reason": "db upgrade", "by": "ann"}


async def test_a_pause_without_a_note_says_since_when(api: Any) -> None:
    await api.post("/work_pools/", {"name": "pool", "type": "process"})
    await api.patch("/work_pools/pool", {"is_paused": True})
    assert (await api.get("/work_pools/pool")).json["pause"] == {"at": KEPT["at"], "reason": None, "by": None}


async def test_a_note_is_shown_and_forgotten_with_the_resume(api: Any) -> None:
    await api.post("/work_pools/", {"name": "pool", "type": "process"})
    await api.patch("/work_pools/pool", {"is_paused": True} | NOTE)
    assert (await api.get("/work_pools/pool")).json["pause"] == KEPT
    await api.patch("/work_pools/pool", {"is_paused": False})
    assert (await api.get("/work_pools/pool")).json["pause"] is None


@pytest.mark.parametrize(("body", "kept"), [(b"", {"at": KEPT["at"], "reason": None, "by": None}), (NOTE, KEPT)])
async def test_a_deployment_is_paused_with_or_without_a_body(api: Any, body: Any, kept: dict[str, Any]) -> None:
    deployment = await api.deployment()
    got = await api.post(f"/deployments/{deployment['id']}/pause_deployment", body)
    assert got.status == 200
    assert (await api.get(f"/deployments/{deployment['id']}")).json["pause"] == kept
    await api.post(f"/deployments/{deployment['id']}/resume_deployment")
    assert (await api.get(f"/deployments/{deployment['id']}")).json["pause"] is None


async def test_a_note_that_is_a_book_is_refused(api: Any) -> None:
    await api.post("/work_pools/", {"name": "pool", "type": "process"})
    got = await api.patch("/work_pools/pool", {"is_paused": True, "pause_reason": "x" * 501})
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "pause_reason"]
    assert (await api.get("/work_pools/pool")).json["is_paused"] is False
