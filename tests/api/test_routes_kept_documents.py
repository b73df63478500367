"""What existing clients keep in a server and it does not act upon: searches, notification policies, automations."""

from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from headgate.settings import Settings

NOBODY = str(uuid4())
FILTER = {"object": "flow_run", "property": "state", "type": "state", "operation": "equals", "value": ["Failed", None]}
TRIGGER = {"type": "event", "expect": ["x"], "posture": "Reactive", "threshold": 1, "within": 0}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, server_encryption_key="k" * 43 + "=")


class TestSavedSearches:
    async def test_one_is_saved_replaced_read_and_deleted(self, any_api: Any) -> None:
        first = await any_api.put("/saved_searches/", {"name": "mine", "filters": [FILTER]})
        assert (first.status, first.json["filters"]) == (201, [FILTER])
        again = await any_api.put("/saved_searches/", {"name": "mine"})
        assert (again.status, again.json["id"], again.json["filters"]) == (200, first.json["id"], [])
        await any_api.put("/saved_searches/", {"name": "a"})
        listed = (await any_api.post("/saved_searches/filter", {"limit": 5})).json
        assert [each["name"] for each in listed] == ["a", "mine"]
        path = f"/saved_searches/{first.json['id']}"
        assert (await any_api.get(path)).json == listed[1]
        assert (await any_api.delete(path)).status == 204
        for got in (await any_api.get(path), await any_api.delete(path)):
            assert (got.status, got.json) == (404, {"detail": "Saved search not found"})

    async def test_a_filter_that_is_not_whole_is_refused(self, any_api: Any) -> None:
        assert (await any_api.put("/saved_searches/", {"name": "x", "filters": [{"object": "o"}]})).status == 422


async def block(api: Any) -> str:
    kind = (await api.post("/block_types/", {"name": "Mail", "slug": "mail"})).json
    schema = (await api.post("/block_schemas/", {"block_type_id": kind["id"], "fields": {}})).json
    body = {"name": "x", "block_type_id": kind["id"], "block_schema_id": schema["id"]}
    made: str = (await api.post("/block_documents/", body)).json["id"]
    return made


class TestNotificationPolicies:
    PATH = "/flow_run_notification_policies/"

    async def test_one_is_kept_changed_found_and_goes_with_its_block(self, any_api: Any) -> None:
        mail = await block(any_api)
        body = {"state_names": ["Failed"], "tags": ["a"], "block_document_id": mail, "message_template": "{flow_run_name}!"}
        made = await any_api.post(self.PATH, body)
        assert made.status == 201
        assert made.json.items() >= (body | {"is_active": True}).items()
        path = f"{self.PATH}{made.json['id']}"
        assert (await any_api.get(path)).json == made.json
        assert (await any_api.patch(path, {"is_active": False, "state_names": []})).status == 204
        changed = (await any_api.get(path)).json
        assert (changed["is_active"], changed["state_names"], changed["tags"]) == (False, [], ["a"])
        for active, found in ((True, 0), (False, 1)):
            asked = {"flow_run_notification_policy_filter": {"is_active": {"eq_": active}}}
            assert len((await any_api.post(f"{self.PATH}filter", asked)).json) == found
        assert len((await any_api.post(f"{self.PATH}filter", b"")).json) == 1
        assert (await any_api.delete(f"/block_documents/{mail}")).status == 204
        for got in (await any_api.get(path), await any_api.delete(path), await any_api.patch(path, {})):
            assert (got.status, got.json) == (404, {"detail": "flow run notification policy not found"})

    @pytest.mark.parametrize("template", ["{nope}", "{", "{0}"])
    async def test_a_template_that_speaks_of_nothing_known_is_refused(self, any_api: Any, template: str) -> None:
        body = {"state_names": [], "tags": [], "block_document_id": await block(any_api), "message_template": template}
        assert (await any_api.post(self.PATH, body)).status == 422

    async def test_a_block_that_does_not_exist_is_refused(self, any_api: Any) -> None:
        body = {"state_names": [], "tags": [], "block_document_id": NOBODY}
        assert (await any_api.post(self.PATH, body)).status == 409


class TestAutomations:
    async def test_one_is_kept_with_all_of_its_fields(self, any_api: Any) -> None:
        body = {"name": "a", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}], "tags": ["t"]}
        made = await any_api.post("/automations/", body)
        assert made.status == 201
        assert made.json["trigger"]["match_related"] == {}
        assert (made.json["description"], made.json["enabled"], made.json["actions_on_resolve"]) == ("", True, [])
        path = f"/automations/{made.json['id']}"
        assert (await any_api.get(path)).json == made.json
        assert (await any_api.patch(path, {"enabled": False})).status == 204
        assert (await any_api.get(path)).json["enabled"] is False
        assert (await any_api.put(path, {"name": "b", "trigger": TRIGGER, "actions": []})).status == 204
        replaced = (await any_api.get(path)).json
        assert (replaced["name"], replaced["tags"], replaced["enabled"]) == ("b", [], True)
        assert (await any_api.delete(path)).status == 204
        for got in [
            await any_api.get(path),
            await any_api.delete(path),
            await any_api.patch(path, {}),
            await any_api.put(path, {"name": "b", "trigger": TRIGGER, "actions": []}),
        ]:
            assert (got.status, got.json) == (404, {"exception_message": "Automation not found"})

    async def test_a_trigger_that_does_not_fit_is_refused_with_its_place(self, any_api: Any) -> None:
        got = await any_api.post("/automations/", {"name": "a", "trigger": {"type": "event"}, "actions": []})
        assert got.status == 422
        assert got.json["exception_detail"][0]["loc"] == ["body", "trigger", "posture"]

    async def test_they_are_found(self, any_api: Any) -> None:
        for name, tags in (("b", ["x", "y"]), ("a", ["x"])):
            any_api.clock.advance(seconds=1)
            await any_api.post("/automations/", {"name": name, "trigger": TRIGGER, "actions": [], "tags": tags})
        for body, wanted in [
            ({}, ["a", "b"]),
            ({"sort": "NAME_DESC"}, ["b", "a"]),
            ({"sort": "CREATED_DESC", "limit": 1}, ["a"]),
            ({"automations": {"name": {"any_": ["b"]}}}, ["b"]),
            ({"automations": {"tags": {"all_": ["x", "y"]}}}, ["b"]),
            ({"automations": {"created": {"before_": "2026-03-02T09:00:01Z"}}}, ["b"]),
            ({"automations": {"operator": "or_", "id": {"any_": [NOBODY]}, "tags": {"any_": ["y"]}}}, ["b"]),
        ]:
            got = await any_api.post("/automations/filter", body)
            assert [each["name"] for each in got.json] == wanted, body
        assert (await any_api.post("/automations/count", b"")).json == 2

    async def test_those_of_a_resource_go_when_it_is_deployed_anew(self, any_api: Any) -> None:
        """Existing clients ask for that with each deployment, and list those of a deployment that they show."""
        mine = "prefect.deployment.1"
        body = {"name": "a", "trigger": TRIGGER, "actions": [], "owner_resource": mine}
        await any_api.post("/automations/", body)
        await any_api.post("/automations/", body | {"owner_resource": None})
        assert [each["name"] for each in (await any_api.get(f"/automations/related-to/{mine}")).json] == ["a"]
        got = await any_api.delete(f"/automations/owned-by/{mine}")
        assert (got.status, got.json) == (202, None)
        assert (await any_api.get(f"/automations/related-to/{mine}")).json == []
        assert (await any_api.post("/automations/count", b"")).json == 1

    async def test_those_that_run_a_deployment_are_listed_with_it_and_stay_when_it_is_deployed_anew(
        self, any_api: Any
    ) -> None:
        runs = {"type": "run-deployment", "deployment_id": NOBODY}
        other = {"type": "run-deployment", "source": "inferred"}
        body = {"name": "a", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}, other, runs]}
        await any_api.post("/automations/", body)
        mine = f"prefect.deployment.{NOBODY}"
        assert [each["name"] for each in (await any_api.get(f"/automations/related-to/{mine}")).json] == ["a"]
        assert (await any_api.get("/automations/related-to/prefect.deployment.1")).json == []
        await any_api.delete(f"/automations/owned-by/{mine}")
        assert (await any_api.post("/automations/count", b"")).json == 1

    async def test_a_key_that_says_nothing_of_an_automation_is_refused(self, api: Any) -> None:
        body = {"name": "a", "trigger": TRIGGER, "actions": []}
        path = f"/automations/{(await api.post('/automations/', body)).json['id']}"
        for got in (await api.put(path, body | {"id": NOBODY}), await api.patch(path, {"enabled": True, "id": NOBODY})):
            assert got.status == 422
            assert got.json["exception_detail"][0]["type"] == "extra_forbidden"

    async def test_one_that_would_set_itself_off_for_ever_cannot_be_on(self, api: Any) -> None:
        trigger = {"posture": "Reactive", "expect": ["prefect.flow-run.*"]}
        body = {"name": "a", "trigger": trigger, "actions": [{"type": "run-deployment", "source": "inferred"}]}
        assert (await api.post("/automations/", body)).status == 422
        made = await api.post("/automations/", body | {"enabled": False})
        path = f"/automations/{made.json['id']}"
        for got, loc in ((await api.put(path, body), ["body"]), (await api.patch(path, {"enabled": True}), [])):
            assert got.status == 422
            (problem,) = got.json["exception_detail"]
            assert (problem["loc"], problem["type"]) == (loc, "value_error")
            assert "Running an inferred deployment" in problem["msg"]
        assert (await api.patch(path, {"enabled": False})).status == 204

    async def test_job_variables_that_the_pool_of_the_deployment_does_not_allow_are_refused(self, api: Any) -> None:
        properties = {"this": {"type": "string", "default": "0"}}
        template = {"job_configuration": {"thing": "{{ this }}"}, "variables": {"properties": properties}}
        await api.pool(base_job_template=template)
        runs = {"type": "run-deployment", "deployment_id": (await api.deployment(work_pool_name="pool"))["id"]}

        def body(value: Any, **changed: Any) -> Any:
            return {"name": "a", "trigger": TRIGGER, "actions": [runs | {"job_variables": {"this": value}} | changed]}

        made = await api.post("/automations/", body("that"))
        assert made.status == 201
        path = f"/automations/{made.json['id']}"
        assert (await api.put(path, body("other"))).status == 204
        for got in (await api.post("/automations/", body(100)), await api.put(path, body(100))):
            assert got.status == 422
            assert got.json["detail"].startswith("Error creating automation: Validation failed for field 'this'")
            assert got.json["exception_detail"][0]["loc"] == ["body", "actions", 0, "job_variables", "this"]
        assert (await api.post("/automations/", body("that", deployment_id=NOBODY))).status == 404
        assert (await api.post("/automations/", body(None))).status == 201


ACTIONS = [
    ({"type": "do-nothing"}, {"type": "do-nothing"}),
    (
        {"type": "run-deployment", "deployment_id": NOBODY, "parameters": {"a": 1}},
        {
            "type": "run-deployment",
            "source": "selected",
            "deployment_id": NOBODY,
            "parameters": {"a": 1},
            "job_variables": None,
            "schedule_after": 0.0,
        },
    ),
    (
        {"type": "pause-work-queue", "source": "inferred"},
        {"type": "pause-work-queue", "source": "inferred", "work_queue_id": None},
    ),
    (
        {"type": "change-flow-run-state", "state": "FAILED"},
        {"type": "change-flow-run-state", "name": None, "state": "FAILED", "message": None, "force": False},
    ),
]


@pytest.mark.parametrize(("action", "whole"), ACTIONS)
async def test_an_action_has_all_of_its_fields(any_api: Any, action: dict[str, Any], whole: dict[str, Any]) -> None:
    body = {"name": "a", "trigger": TRIGGER, "actions": [], "actions_on_resolve": [action]}
    made = (await any_api.post("/automations/", body)).json
    assert made["actions_on_resolve"] == [whole]
    assert (await any_api.put(f"/automations/{made['id']}", body | {"actions": [action]})).status == 204
    assert (await any_api.get(f"/automations/{made['id']}")).json["actions"] == [whole]


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({"type": "nope"}, "type"),
        ({}, "type"),
        ({"type": "run-deployment"}, "deployment_id"),
        ({"type": "run-deployment", "deployment_id": "x"}, "deployment_id"),
        ({"type": "pause-work-pool", "source": "inferred", "work_pool_id": NOBODY}, "work_pool_id"),
        ({"type": "pause-work-pool", "source": "other"}, "source"),
        ({"type": "change-flow-run-state"}, "state"),
        ({"type": "change-flow-run-state", "state": "NOPE"}, "state"),
        ({"type": "send-notification", "block_document_id": NOBODY}, "body"),
    ],
)
async def test_an_action_that_is_not_whole_is_refused(api: Any, action: dict[str, Any], field: str) -> None:
    got = await api.post("/automations/", {"name": "a", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}, action]})
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "actions", 1, field]


async def test_events_must_be_able_to_stay_away(api: Any) -> None:
    for within, status in ((9, 422), (10, 201)):
        trigger = TRIGGER | {"posture": "Proactive", "within": within}
        got = await api.post("/automations/", {"name": "a", "trigger": trigger, "actions": []})
        assert got.status == status, got.json


@pytest.mark.parametrize("path", ["/templates/validate", "/automations/templates/validate"])
async def test_a_template_of_messages_is_told_where_it_is_broken(api: Any, path: str) -> None:
    for fine in (b"", b"\n {{ hello }} world!", b'"as JSON: {{ \\"x\\" }}"'):
        got = await api.post(path, fine, content_type="text/plain")
        assert (got.status, got.body) == (204, b"")
    got = await api.post(path, b"one\n{{ two }", content_type="text/plain")
    assert (got.status, got.headers["content-type"]) == (422, "application/json")
    assert got.json == {"error": {"line": 2, "message": "unexpected '}'", "source": "one\n{{ two }"}}
