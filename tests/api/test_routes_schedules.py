"""Schedules of deployments over HTTP, and the runs that they make."""

from typing import Any

HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}
DAILY = {"interval": 86_400.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "Europe/Berlin"}
WEEKLY = {"rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": "UTC"}


async def test_schedules_are_added_read_changed_and_deleted(api: Any) -> None:
    made = await api.deployment()
    path = f"/deployments/{made['id']}/schedules"
    body = [
        {"schedule": DAILY, "active": True, "max_scheduled_runs": None, "parameters": {}, "slug": None, "replaces": None}
    ]
    got = await api.post(path, body)
    assert got.status == 201
    (schedule,) = got.json
    assert (await api.get(path)).json == [schedule]
    assert (await api.patch(f"{path}/{schedule['id']}", {"active": False})).status == 204
    (changed,) = (await api.get(path)).json
    assert (changed["active"], changed["schedule"]) == (False, schedule["schedule"])
    assert (await api.patch(f"{path}/{schedule['id']}", {"schedule": HOURLY, "slug": "h"})).status == 204
    (changed,) = (await api.get(path)).json
    assert (changed["schedule"]["cron"], changed["slug"], changed["active"]) == ("0 * * * *", "h", False)
    assert (await api.delete(f"{path}/{schedule['id']}")).status == 204
    assert (await api.get(path)).json == []
    for method in ("PATCH", "DELETE"):
        gone = await api.send(method, f"{path}/{schedule['id']}", {} if method == "PATCH" else b"")
        assert (gone.status, gone.json) == (404, {"detail": "Schedule not found"})


async def test_a_schedule_of_another_deployment_is_not_found(api: Any) -> None:
    one, other = await api.deployment("a", schedules=[{"schedule": HOURLY}]), await api.deployment("b")
    got = await api.delete(f"/deployments/{other['id']}/schedules/{one['schedules'][0]['id']}")
    assert got.status == 404


async def test_a_wrong_schedule_among_added_ones_is_named_and_none_is_added(api: Any) -> None:
    made = await api.deployment()
    path = f"/deployments/{made['id']}/schedules"
    got = await api.post(path, [{"schedule": HOURLY}, {"schedule": {"cron": "x"}}])
    assert got.status == 422
    assert got.json["exception_detail"][0]["input"] == "x"
    assert 1 in got.json["exception_detail"][0]["loc"]
    assert (await api.get(path)).json == []


async def test_a_schedule_makes_its_runs_at_once_and_takes_them_back(api: Any) -> None:
    made = await api.deployment(parameters={"n": 1}, schedules=[{"schedule": HOURLY, "slug": "h", "parameters": {"m": 2}}])
    (schedule,) = made["schedules"]
    runs = (await api.post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})).json
    assert [run["expected_start_time"] for run in runs] == [f"2026-03-02T{hour}:00:00Z" for hour in (10, 11, 12)]
    first = runs[0]
    assert first["auto_scheduled"] is True
    assert first["parameters"] == {"n": 1, "m": 2}
    assert "auto-scheduled" in first["tags"]
    assert first["idempotency_key"] == f"scheduled {made['id']} {schedule['id']} 2026-03-02 10:00:00+00:00"
    assert first["created_by"] == {"id": schedule["id"], "type": "SCHEDULE", "display_value": "h"}
    path = f"/deployments/{made['id']}/schedules/{schedule['id']}"
    await api.patch(path, {"active": False})
    assert (await api.post("/flow_runs/count")).json == 0
    await api.patch(path, {"active": True})
    assert (await api.post("/flow_runs/count")).json == 3
    by_schedule = {"flow_runs": {"created_by": {"operator": "and_", "id_": [schedule["id"]], "type_": ["SCHEDULE"]}}}
    assert (await api.post("/flow_runs/count", by_schedule)).json == 3
    by_hand = {"flow_runs": {"created_by": {"is_null_": True}}}
    assert (await api.post("/flow_runs/count", by_hand)).json == 0


async def test_a_deploy_keeps_schedules_and_their_switches(api: Any) -> None:
    made = await api.deployment(schedules=[{"schedule": HOURLY}, {"schedule": WEEKLY, "active": False, "slug": "w"}])
    again = {"name": "nightly", "flow_id": made["flow_id"]}
    got = await api.post("/deployments/", again | {"schedules": [{"schedule": WEEKLY, "slug": "w"}, {"schedule": DAILY}]})
    before = {each["slug"]: each for each in made["schedules"]}
    after = {each["slug"]: each for each in got.json["schedules"]}
    assert after["w"]["id"] == before["w"]["id"]
    assert after["w"]["active"] is False
    assert after[None]["schedule"]["interval"] == 86_400.0
    cleared = await api.patch(f"/deployments/{made['id']}", {"schedules": []})
    assert cleared.status == 204
    assert (await api.get(f"/deployments/{made['id']}")).json["schedules"] == []
