"""The records have every key that clients of the wire know, and which ones of our own beside them."""

from pathlib import Path
from typing import Any

import pytest
from peer_operations import read_table

from headgate.schema import (
    concurrency_limits,
    deployments,
    flow_runs,
    flows,
    logs,
    states,
    variables,
    work_pools,
    work_queues,
    workers,
)
from headgate.schema.deployments import DeploymentSchedule
from headgate.server import openapi_document

# Each record: the keys that servers of the wire answer with (version 0.8.4), and those that only this server has.
RECORDS: dict[type, tuple[str, str]] = {
    flows.Flow: ("id created updated name tags labels", ""),
    deployments.Deployment: (
        "id created updated name version description flow_id paused schedules concurrency_limit global_concurrency_limit "
        "concurrency_options job_variables parameters tags labels work_queue_name work_queue_id last_polled "
        "parameter_openapi_schema path pull_steps entrypoint storage_document_id infrastructure_document_id created_by "
        "updated_by work_pool_name status enforce_parameter_schema",
        # The last two are of 2.x.
        "command work_pool_id pause infra_retries concurrency_key is_schedule_active schedule",
    ),
    DeploymentSchedule: (
        "id created updated deployment_id schedule active max_scheduled_runs parameters slug",
        "misfire job_variables pause",
    ),
    deployments.ConcurrencyOptions: ("collision_strategy grace_period_seconds", ""),
    concurrency_limits.GlobalConcurrencyLimit: (
        "id created updated active name limit active_slots denied_slots slot_decay_per_second avg_slot_occupancy_seconds",
        "",
    ),
    concurrency_limits.ConcurrencyLimit: ("id created updated tag concurrency_limit active_slots", ""),
    flow_runs.FlowRun: (
        "id created updated name flow_id state_id deployment_id deployment_version work_queue_id work_queue_name "
        "flow_version parameters idempotency_key context empirical_policy tags labels parent_task_run_id state_type "
        "state_name run_count expected_start_time next_scheduled_start_time start_time end_time total_run_time "
        "estimated_run_time estimated_start_time_delta auto_scheduled infrastructure_document_id infrastructure_pid "
        "created_by work_pool_id work_pool_name state job_variables",
        "fence concurrency_key",
    ),
    flow_runs.FlowRunPolicy: (
        "max_retries retry_delay_seconds retries retry_delay pause_keys resuming retry_type",
        "",
    ),
    flow_runs.CreatedBy: ("id type display_value", ""),
    states.State: ("id type name timestamp message data state_details", ""),
    states.StateDetails: (
        "flow_run_id task_run_id child_flow_run_id scheduled_time cache_key cache_expiration deferred "
        "untrackable_result pause_timeout pause_reschedule pause_key run_input_keyset refresh_cache retriable "
        "transition_id task_parameters_id traceparent deployment_concurrency_lease_id",
        "crash_reason",  # left out where there is none
    ),
    states.OrchestrationResult: ("state status details", "fence"),
    work_pools.WorkPool: (
        "id created updated name description type base_job_template is_paused concurrency_limit status "
        "default_queue_id storage_configuration active_slots",
        "pause launch_rate launch_limit fair_share",
    ),
    work_pools.StorageConfiguration: (
        "bundle_upload_step bundle_execution_step default_result_storage_block_id",
        "",
    ),
    work_pools.WorkerFlowRun: ("work_pool_id work_queue_id flow_run", ""),
    work_queues.WorkQueue: (
        "id created updated name description is_paused concurrency_limit priority work_pool_id filter last_polled "
        "work_pool_name status active_slots",
        "pause",
    ),
    work_queues.WorkQueueStatusDetail: ("healthy late_runs_count last_polled health_check_policy", ""),
    work_queues.HealthCheckPolicy: ("maximum_late_runs maximum_seconds_since_last_polled", ""),
    workers.Worker: (
        "id created updated name work_pool_id last_heartbeat_time heartbeat_interval_seconds status",
        "type draining",
    ),
    variables.Variable: ("id created updated name value tags", ""),
    logs.Log: ("id created updated name level message timestamp flow_run_id task_run_id", ""),
}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_has_the_keys_of_the_wire_and_the_listed_ones_of_ours(record: Any) -> None:
    wire, ours = (set(keys.split()) for keys in RECORDS[record])
    assert set(record.__struct_encode_fields__) == wire | ours


# The operations of the wire that belong to what this server does so far, with the keys of their bodies.
OPERATIONS = {
    "GET /health": "",
    "GET /ready": "",
    "GET /version": "",
    "GET /hello": "",
    "GET /admin/version": "",
    "POST /flows/": "name tags labels",
    "POST /flows/filter": "flows flow_runs deployments work_pools sort limit offset",
    "POST /flows/count": "flows flow_runs deployments work_pools",
    "GET /flows/{}": "",
    "GET /flows/name/{}": "",
    "PATCH /flows/{}": "tags labels",
    "DELETE /flows/{}": "",
    "POST /deployments/": (
        "name flow_id paused schedules concurrency_limit concurrency_options enforce_parameter_schema "
        "parameter_openapi_schema parameters tags labels pull_steps work_queue_name work_pool_name storage_document_id "
        "infrastructure_document_id description path entrypoint job_variables version infra_overrides"
    ),
    "GET /deployments/{}": "",
    "GET /deployments/name/{}/{}": "",
    "PATCH /deployments/{}": (
        "version description parameters paused schedules concurrency_limit concurrency_options tags work_queue_name "
        "work_pool_name path job_variables pull_steps entrypoint storage_document_id infrastructure_document_id "
        "enforce_parameter_schema parameter_openapi_schema infra_overrides"
    ),
    "DELETE /deployments/{}": "",
    "POST /deployments/filter": "flows flow_runs deployments work_pools work_pool_queues sort limit offset",
    "POST /deployments/count": "flows flow_runs deployments work_pools work_pool_queues",
    "POST /deployments/get_scheduled_flow_runs": "deployment_ids scheduled_before limit",
    "POST /deployments/{}/create_flow_run": (
        "state name parameters enforce_parameter_schema context infrastructure_document_id empirical_policy tags "
        "idempotency_key labels parent_task_run_id work_queue_name job_variables"
    ),
    "POST /deployments/{}/pause_deployment": "",
    "POST /deployments/{}/resume_deployment": "",
    "GET /deployments/{}/schedules": "",
    "POST /deployments/{}/schedules": "schedule active max_scheduled_runs parameters slug replaces",
    "PATCH /deployments/{}/schedules/{}": "schedule active max_scheduled_runs parameters slug",
    "DELETE /deployments/{}/schedules/{}": "",
    "POST /flow_runs/": (
        "name flow_id flow_version parameters context parent_task_run_id infrastructure_document_id empirical_policy "
        "tags labels idempotency_key deployment_id work_pool_name work_queue_name job_variables state"
    ),
    "GET /flow_runs/{}": "",
    "PATCH /flow_runs/{}": "name flow_version parameters empirical_policy tags infrastructure_pid job_variables",
    "PATCH /flow_runs/{}/labels": "",
    "DELETE /flow_runs/{}": "",
    "POST /flow_runs/filter": "flows flow_runs deployments work_pools work_pool_queues sort limit offset",
    "POST /flow_runs/count": "flows flow_runs deployments work_pools work_pool_queues",
    "POST /flow_runs/{}/set_state": "state force",
    "GET /flow_run_states/": "",
    "POST /work_pools/": ("name description type base_job_template is_paused concurrency_limit storage_configuration"),
    "GET /work_pools/{}": "",
    "PATCH /work_pools/{}": "description is_paused base_job_template concurrency_limit storage_configuration",
    "DELETE /work_pools/{}": "",
    "POST /work_pools/filter": "work_pools limit offset",
    "POST /work_pools/count": "work_pools",
    "POST /work_pools/{}/get_scheduled_flow_runs": "work_queue_names scheduled_before scheduled_after limit",
    "POST /work_pools/{}/queues": "name description is_paused concurrency_limit priority filter",
    "GET /work_pools/{}/queues/{}": "",
    "POST /work_pools/{}/queues/filter": "work_queues limit offset",
    "POST /work_pools/{}/workers/heartbeat": "name heartbeat_interval_seconds",
    "POST /work_pools/{}/workers/filter": "workers limit offset",
    "DELETE /work_pools/{}/workers/{}": "",
    "POST /work_queues/": "name description is_paused concurrency_limit priority filter",
    "GET /work_queues/name/{}": "",
    "POST /work_queues/{}/get_runs": "limit scheduled_before agent_id",
    "GET /work_queues/{}": "",
    "GET /work_queues/{}/status": "",
    "PATCH /work_queues/{}": "name description is_paused concurrency_limit priority last_polled filter",
    "DELETE /work_queues/{}": "",
    "POST /work_queues/filter": "work_queues limit offset",
    "POST /deployments/{}/create_flow_run/bulk": "state name parameters tags idempotency_key job_variables labels",
    "POST /flow_runs/bulk_delete": "flow_runs limit",
    "POST /flow_runs/bulk_set_state": "flow_runs state force limit",
    "POST /logs/": "name level message timestamp flow_run_id task_run_id",
    "POST /logs/filter": "logs sort limit offset",
    "POST /variables/": "name value tags",
    "POST /variables/filter": "variables sort limit offset",
    "POST /variables/count": "variables",
    "GET /variables/{}": "",
    "PATCH /variables/{}": "name value tags",
    "DELETE /variables/{}": "",
    "GET /variables/name/{}": "",
    "PATCH /variables/name/{}": "name value tags",
    "DELETE /variables/name/{}": "",
}

OUR_OPERATIONS = {
    "GET /admin/services",
    "GET /flow_runs/{}/explain",
    "POST /flow_runs/bulk_create",
    "POST /secrets/",
    "POST /secrets/filter",
    "POST /secrets/count",
    "GET /secrets/{}",
    "PATCH /secrets/{}",
    "DELETE /secrets/{}",
    "POST /flow_runs/{}/lease",
    "POST /work_pools/{}/claim",
    "GET /work_pools/{}/explain",
    "POST /work_pools/{}/leases/renew",
    "POST /work_pools/{}/leases/return",
    "POST /work_pools/{}/workers/{}/drain",
    "POST /agents/filter",
    "POST /agents/claim",
    "POST /agents/leases/renew",
    "POST /agents/leases/return",
    "GET /agents/{}",
    "POST /agents/{}/drain",
    "DELETE /agents/{}",
    "POST /work_pools/{}/preview",
}


def operations() -> dict[str, set[str]]:
    """The app's own, with the keys of their bodies; the names in paths are left out."""
    document = openapi_document()
    found = {}
    for path, verbs in document["paths"].items():
        bare = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
        for verb, operation in verbs.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            found[f"{verb.upper()} {bare}"] = body_keys(document, schema)
    return found


def body_keys(document: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "items" in schema:
        return body_keys(document, schema["items"])
    inner = [body_keys(document, each) for each in schema.get("anyOf", ())]
    return set(schema.get("properties", ())).union(*inner)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_of_the_wire_takes_every_key_that_clients_send(operation: str) -> None:
    assert set(OPERATIONS[operation].split()) <= operations()[operation]


def test_every_operation_is_one_of_the_peers_or_a_listed_one_of_ours() -> None:
    """The peer's are walked field by field in `test_peer_documents`."""
    table = Path(__file__).with_name("peer_operations.json").read_text("utf-8")
    theirs = set().union(*read_table(table).values())
    assert {name for name in operations() if name.removesuffix("/") not in theirs} == OUR_OPERATIONS


async def test_times_are_in_utc_and_say_so(api: Any) -> None:
    run = await api.run(state={"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-03-02T11:30:00.25+02:00"}})
    assert run["expected_start_time"] == "2026-03-02T09:30:00.250000Z"
    assert run["state"]["state_details"]["scheduled_time"] == "2026-03-02T09:30:00.250000Z"
    assert (await api.get(f"/flow_runs/{run['id']}")).json == run


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "0002-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9998-12-31T00:00:00Z"),
        ("9999-12-31T23:59:59-14:00", "9998-12-31T00:00:00Z"),
    ],
)
async def test_times_at_the_ends_of_the_calendar_stand_for_never(api: Any, given: str, kept: str) -> None:
    run = await api.run(state={"type": "SCHEDULED", "state_details": {"scheduled_time": given}})
    assert run["next_scheduled_start_time"] == kept
    assert (await api.get(f"/flow_runs/{run['id']}")).json == run
    everything = {
        "flow_runs": {"expected_start_time": {"before_": "9999-12-31T23:59:59Z", "after_": "0001-01-01T00:00:00Z"}}
    }
    assert (await api.post("/flow_runs/count", everything)).json == 1
