"""Collections: what existing clients learn of worker types here."""

from typing import Any

import pytest

from headgate.core import templates


async def test_the_worker_types_of_this_environment_are_listed_with_their_templates(api: Any) -> None:
    got = await api.get("/collections/views/aggregate-worker-metadata")
    assert got.status == 200
    process = got.json["prefect"]["process"]
    assert set(process) == {
        "type",
        "display_name",
        "description",
        "documentation_url",
        "logo_url",
        "install_command",
        "is_beta",
        "default_base_job_configuration",
    }
    assert process["type"] == "process"
    assert process["logo_url"].startswith("data:image/"), "existing pages leave out types without a picture"
    templates.check(process["default_base_job_configuration"])
    made = await api.post(
        "/work_pools/", {"name": "p", "type": "process", "base_job_template": process["default_base_job_configuration"]}
    )
    assert made.status == 201


async def test_pools_of_agents_can_be_made_by_clients_that_make_pools_of_listed_types_only(api: Any) -> None:
    for later in ({}, {"user_agent": "prefect/3.9.1 (API 0.8.4)"}):
        got = await api.get("/collections/views/aggregate-worker-metadata", **later)
        assert "prefect-agent" not in got.json["prefect"]
    got = await api.get("/collections/views/aggregate-worker-metadata", user_agent="prefect/2.20.27 (API 0.8.4)")
    agents = got.json["prefect"]["prefect-agent"]
    assert (agents["type"], agents["default_base_job_configuration"], agents["logo_url"]) == ("prefect-agent", {}, None)


@pytest.mark.parametrize("view", ["aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"])
async def test_a_view_of_what_this_server_does_not_know_is_empty(api: Any, view: str) -> None:
    got = await api.get(f"/collections/views/{view}")
    assert (got.status, got.json) == (200, {})


async def test_another_view_is_none(api: Any) -> None:
    got = await api.get("/collections/views/invalid")
    assert (got.status, got.json) == (404, {"detail": "View invalid not found in registry"})
