"""What another server holds, as a manifest of ours: nothing is lost without a note."""

from typing import Any

from msgspec import UNSET

from headgate.core.prefect_import import Holdings, Import, translate, with_defaults

TEMPLATE: dict[str, Any] = {
    "job_configuration": {"env": "{{ env }}", "command": "{{ command }}", "image": "{{ image }}"},
    "variables": {"type": "object", "properties": {"env": {"type": "object"}, "command": {}, "image": {"type": "string"}}},
}


def _block(id: str, name: str | None, type: str, data: dict[str, Any], **inner: dict[str, Any]) -> dict[str, Any]:
    """A document as a server tells it; `inner` are the documents in its fields."""
    return {
        "id": id,
        "name": name or f"anonymous-{id}",
        "data": data | {field: each["data"] for field, each in inner.items()},
        "block_type": {"name": type.title(), "slug": type},
        "block_schema": {"fields": {"title": type}, "capabilities": ["run"], "version": "2.20"},
        "block_document_references": {field: {"block_document": {"id": each["id"]}} for field, each in inner.items()},
        "is_anonymous": name is None,
    }


def _deployment(**fields: Any) -> dict[str, Any]:
    return {"id": "d1", "name": "nightly", "flow_id": "f1", "work_pool_name": "agents", "work_queue_name": "legacy"} | fields


def _translate(deployment: dict[str, Any], *blocks: dict[str, Any], to_workers: bool = False) -> Import:
    held = Holdings(
        work_pools=[{"name": "agents", "type": "prefect-agent", "base_job_template": {}}],
        flows=[{"id": "f1", "name": "hello"}],
        deployments=[deployment],
        block_documents=blocks,
        templates={"process": TEMPLATE, "docker": TEMPLATE},
    )
    return translate(held, to_workers=to_workers)


PROCESS = _block("b1", "mine", "process", {"type": "process", "env": {"A": "1"}, "command": ["run", "a b"], "labels": {}})


def test_a_named_limit_of_a_deployment_stays_shared() -> None:
    """It is not a limit of the deployment's own; one under the name that the server gives is."""
    shared = _deployment(concurrency_limit=None, global_concurrency_limit={"name": "database", "limit": 3})
    own = _deployment(concurrency_limit=None, global_concurrency_limit={"name": "deployment:1", "limit": 3})
    for raw, limits in ((shared, ("database", UNSET)), (own, (None, 3))):
        [spec] = _translate(raw).manifest.deployments
        assert (spec.shared_limit, spec.wanted.concurrency_limit) == limits


def test_both_versions_of_a_deployment_mean_the_same() -> None:
    schedule = {"schedule": {"cron": "0 3 * * *", "timezone": "UTC"}, "active": False}
    older = _deployment(infra_overrides={"env": {"X": "y"}}, concurrency_limit=3, schedules=[schedule | {"catchup": False}])
    newer = _deployment(
        job_variables={"env": {"X": "y"}},
        concurrency_limit=None,
        global_concurrency_limit={"limit": 3},
        schedules=[schedule],
    )
    assert _translate(older).manifest == _translate(newer).manifest
    [spec] = _translate(newer).manifest.deployments
    assert (spec.full_name, spec.wanted.concurrency_limit) == ("hello/nightly", 3)
    assert (spec.wanted.work_pool_name, spec.wanted.work_queue_name) == ("agents", "legacy")
    assert isinstance(spec.wanted.schedules, list)
    assert [(each.schedule.cron, each.active) for each in spec.wanted.schedules] == [("0 3 * * *", False)]


def test_for_agents_a_block_becomes_job_variables_below_the_deployments_own() -> None:
    found = _translate(_deployment(infrastructure_document_id="b1", infra_overrides={"env": {"X": "y"}}), PROCESS)
    [spec] = found.manifest.deployments
    assert spec.wanted.work_pool_name == "agents"
    assert spec.wanted.job_variables == {"type": "process", "env": {"A": "1", "X": "y"}, "command": "run 'a b'"}
    assert found.notes == []


def test_for_workers_a_named_block_becomes_a_pool_with_a_template() -> None:
    raw = _deployment(infrastructure_document_id="b1", infra_overrides={"env": {"X": "y"}})
    found = _translate(raw, PROCESS, to_workers=True)
    [spec] = found.manifest.deployments
    assert (spec.wanted.work_pool_name, spec.wanted.job_variables) == ("mine", {"env": {"X": "y"}})
    assert [(pool.name, pool.type) for pool in found.manifest.work_pools] == [
        ("agents", "prefect-agent"),
        ("mine", "process"),
    ]
    template: Any = found.manifest.work_pools[1].base_job_template
    assert template["variables"]["properties"]["command"] == {"default": "run 'a b'"}
    assert template["variables"]["properties"]["env"]["default"] == {"A": "1"}
    assert "default" not in TEMPLATE["variables"]["properties"]["env"]  # the type's own is not touched


def test_for_workers_an_anonymous_block_goes_to_the_pool_of_its_type() -> None:
    block = _block("b1", None, "docker-container", {"image": "img:1", "image_pull_policy": "IF_NOT_PRESENT"})
    [spec] = _translate(_deployment(infrastructure_document_id="b1"), block, to_workers=True).manifest.deployments
    assert spec.wanted.work_pool_name == "docker"
    assert spec.wanted.job_variables == {"image": "img:1", "image_pull_policy": "IfNotPresent"}


def test_what_a_template_has_no_variable_for_is_noted() -> None:
    block = _block("b1", "big", "docker-container", {"image": "i", "gpus": 2})
    found = _translate(_deployment(infrastructure_document_id="b1"), block, to_workers=True)
    assert found.notes == ["deployment 'hello/nightly': pool 'big' has no variable for gpus, which its block sets"]


def test_a_block_called_like_a_pool_gets_a_pool_of_another_name() -> None:
    block = _block("b1", "agents", "process", {"env": {"A": "1"}})
    found = _translate(_deployment(infrastructure_document_id="b1"), block, to_workers=True)
    assert [pool.name for pool in found.manifest.work_pools] == ["agents", "agents-process"]


def test_in_a_typed_pool_the_block_has_no_say() -> None:
    held = Holdings(
        work_pools=[{"name": "typed", "type": "process"}],
        flows=[{"id": "f1", "name": "hello"}],
        deployments=[
            _deployment(work_pool_name="typed", infrastructure_document_id="b1", job_variables={"env": {"X": "y"}})
        ],
        block_documents=[PROCESS],
        templates={"process": TEMPLATE},
    )
    [spec] = translate(held, to_workers=True).manifest.deployments
    assert (spec.wanted.work_pool_name, spec.wanted.job_variables) == ("typed", {"env": {"X": "y"}})


def test_secrets_come_with_their_values_as_text() -> None:
    blocks = [_block("1", "token", "secret", {"value": "x"}), _block("2", "login", "secret", {"value": {"user": "a"}})]
    secrets = _translate(_deployment(), *blocks).manifest.secrets
    assert [(each.name, each.value) for each in secrets] == [("token", "x"), ("login", '{"user":"a"}')]


def test_all_that_stays_behind_is_noted() -> None:
    held = Holdings(
        work_pools=[{"name": "push", "type": "ecs:push", "storage_configuration": {"bundle_upload_step": {"a": 1}}}],
        work_queues={"push": [{"name": "default", "filter": {"tags": ["x"]}}]},
        flows=[{"id": "f1", "name": "hello"}],
        deployments=[
            _deployment(
                work_pool_name="push", storage_document_id="s1", schedules=[{"schedule": {"interval": 60}, "catchup": True}]
            ),
            _deployment(name="orphan", flow_id="gone"),
        ],
        variables=[{"name": "No Name", "value": 1}],
        block_documents=[_block("1", "bucket", "s3", {}) | {"name": "Bad Name"}],
        automations=[{"name": "alarm"}],
        notifications=[{}, {}],
    )
    notes = translate(held).notes
    assert [note.partition(":")[0] for note in notes] == [
        "variable 'No Name'",
        "block s3/Bad Name",
        "work pool 'push'",
        "work pool 'push'",
        "work queue 'push/default'",
        "deployment 'hello/nightly'",
        "deployment 'hello/nightly'",
        "deployment 'orphan'",
        "automation 'alarm'",
        "notification policies",
    ]


def test_blocks_come_after_those_that_they_refer_to_and_anonymous_ones_only_where_they_are_used() -> None:
    login = _block("b2", "login", "creds", {"token": "x"})
    bucket = _block("b1", "bucket", "s3", {"path": "p"}, credentials=login)
    used, unused = _block("b3", None, "process", {"env": {}}), _block("b4", None, "process", {})
    raw = _deployment(infrastructure_document_id="b3", storage_document_id="b1")
    found = _translate(raw, bucket, login, used, unused)
    assert [each.full_name for each in found.manifest.blocks] == ["creds/login", "s3/bucket", "process/anonymous-b3"]
    copied = found.manifest.blocks[1]
    assert copied.data == {"path": "p", "credentials": {"$block": "creds/login"}}
    [schema] = copied.schemas
    assert (schema.type.name, schema.fields, schema.capabilities, schema.version) == ("S3", {"title": "s3"}, ["run"], "2.20")
    [spec] = found.manifest.deployments
    assert (spec.infrastructure_block, spec.storage_block) == ("process/anonymous-b3", "s3/bucket")


def test_schemas_that_a_blocks_fields_refer_to_come_before_its_own() -> None:
    block = _block("b1", "mine", "outer", {})
    block["block_schema"]["fields"] = {
        "block_schema_references": {"a": {"block_schema_checksum": "s1"}, "b": [{"block_schema_checksum": "s2"}, {}]}
    }
    inner = {"block_type": {"name": "In", "slug": "in"}, "version": "1", "fields": {}}
    deeper = {"block_schema_references": {"c": {"block_schema_checksum": "s2"}}}
    schemas = [
        inner | {"checksum": "s1", "fields": deeper},
        inner | {"checksum": "s2", "block_type": {"name": "Deep", "slug": "deep"}},
    ]
    [spec] = translate(Holdings(block_documents=[block], block_schemas=schemas)).manifest.blocks
    assert [each.type.slug for each in spec.schemas] == ["deep", "in", "outer"]


def test_limits_of_both_kinds_come_and_those_of_deployments_with_their_deployments() -> None:
    held = Holdings(
        concurrency_limits=[
            {"name": "db", "limit": 3, "active": False, "slot_decay_per_second": 0.5},
            {"name": "tag:both", "limit": 4},
            {"name": "deployment:d1", "limit": 9},
        ],
        tag_limits=[{"tag": "both", "concurrency_limit": 4}, {"tag": "old", "concurrency_limit": 2}],
    )
    limits = {each.name: each for each in translate(held).manifest.concurrency_limits}
    assert {name: each.limit for name, each in limits.items()} == {"db": 3, "tag:both": 4, "tag:old": 2}
    assert (limits["db"].active, limits["db"].slot_decay_per_second) == (False, 0.5)


def test_a_type_whose_template_nobody_knows_is_noted() -> None:
    block = _block("b1", "cluster", "kubernetes-job", {"image": "i"})
    found = _translate(_deployment(infrastructure_document_id="b1"), block, to_workers=True)
    assert found.manifest.work_pools[1].base_job_template == {}
    assert len(found.notes) == 2


def test_defaults_of_an_empty_template_are_all_unknown() -> None:
    assert with_defaults({}, {"b": 1, "a": 2}) == ({}, ["a", "b"])
