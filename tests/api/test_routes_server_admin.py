"""Routes by which a server tells its settings, and is emptied."""

from typing import Any

import pytest

from headgate.settings import Settings


class TestSettings:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(api_auth_string="admin:hush", server_encryption_key="hush-hush")

    async def test_they_are_grouped_and_without_passwords(self, api: Any) -> None:
        got = await api.get("/admin/settings")
        assert got.status == 200
        assert b"hush" not in got.body
        assert got.json["api"]["auth_string"] == "********"
        assert got.json["server"]["encryption_key"] == "********"
        assert got.json["server"]["api"]["port"] == 4200
        assert got.json["server"]["csrf_protection_enabled"] is False
        assert got.json["server"]["services"]["late_runs"]["after_seconds"] == 15.0
        assert got.json["logging"]["to_api"]["enabled"] is True
        assert got.json["home"]


@pytest.mark.parametrize("verb", ["clear", "drop", "create"])
@pytest.mark.parametrize("body", [b"", {}, {"confirm": False}])
async def test_nothing_is_deleted_unless_it_is_confirmed(api: Any, verb: str, body: Any) -> None:
    await api.pool()
    got = await api.post(f"/admin/database/{verb}", body)
    assert got.status == 400
    assert "confirm" in got.json["detail"]
    assert (await api.get("/work_pools/pool")).status == 200


@pytest.mark.parametrize("verb", ["clear", "drop"])
async def test_a_confirmed_call_deletes_everything_and_the_server_goes_on(any_api: Any, verb: str) -> None:
    await any_api.pool()
    run = await any_api.deployed_run(
        await any_api.deployment(work_pool_name="pool", schedules=[{"schedule": {"interval": 60}}])
    )
    await any_api.post("/variables/", {"name": "x", "value": 1})
    assert (await any_api.post(f"/admin/database/{verb}", {"confirm": True})).status == 204
    for noun in ("flows", "flow_runs", "deployments", "work_pools", "work_queues", "variables"):
        assert (await any_api.post(f"/{noun}/filter", {})).json == []
    assert (await any_api.get(f"/flow_runs/{run['id']}")).status == 404
    assert (await any_api.post("/admin/database/create", {"confirm": True})).status == 204
    await any_api.pool()
    await any_api.deployed_run(await any_api.deployment(work_pool_name="pool"))


async def test_no_storage_of_results_is_chosen_at_first(any_api: Any) -> None:
    got = await any_api.get("/admin/storage")
    assert (got.status, got.json) == (200, {"default_result_storage_block_id": None})
    assert (await any_api.delete("/admin/storage")).status == 204


async def test_there_is_no_list_of_workspaces(api: Any) -> None:
    """By its absence existing clients tell a server from the hosted service."""
    assert (await api.get("/me/workspaces")).status == 404
