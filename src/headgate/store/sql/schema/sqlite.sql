CREATE TABLE csrf_token (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    client TEXT NOT NULL,
    token TEXT NOT NULL,
    expiration TIMESTAMP_INT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (client)
);

CREATE TABLE configuration (
    "key" TEXT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    value JSON_TEXT NOT NULL,
    PRIMARY KEY ("key")
);

CREATE TABLE block_type (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    logo_url TEXT,
    documentation_url TEXT,
    description TEXT,
    code_example TEXT,
    is_protected BOOL_INT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (slug)
);

CREATE TABLE artifact (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    "key" TEXT,
    type TEXT,
    description TEXT,
    data JSON_TEXT,
    metadata_ JSON_TEXT,
    flow_run_id UUID_TEXT,
    task_run_id UUID_TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX ix_artifact_flow_run ON artifact (flow_run_id) WHERE flow_run_id IS NOT NULL;

CREATE INDEX ix_artifact_key ON artifact ("key", id) WHERE key IS NOT NULL;

CREATE INDEX ix_artifact_task_run ON artifact (task_run_id) WHERE task_run_id IS NOT NULL;

CREATE TABLE saved_search (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    filters JSON_TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE automation (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled BOOL_INT NOT NULL,
    tags JSON_TEXT NOT NULL,
    trigger_data JSON_TEXT NOT NULL,
    actions JSON_TEXT NOT NULL,
    actions_on_trigger JSON_TEXT NOT NULL,
    actions_on_resolve JSON_TEXT NOT NULL,
    owner_resource TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX ix_automation_owner_resource ON automation (owner_resource);

CREATE TABLE flow (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    tags JSON_TEXT NOT NULL,
    labels JSON_TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE work_pool (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    type TEXT NOT NULL,
    base_job_template JSON_TEXT NOT NULL,
    is_paused BOOL_INT NOT NULL,
    concurrency_limit INTEGER,
    default_queue_id UUID_TEXT NOT NULL,
    storage_configuration JSON_TEXT NOT NULL,
    pause JSON_TEXT,
    launch_rate JSON_TEXT,
    launches JSON_TEXT,
    launch_limit INTEGER,
    fair_share BOOL_INT DEFAULT FALSE NOT NULL,
    turns JSON_TEXT,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE agent (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT,
    work_pool_name TEXT,
    work_queue_names JSON_TEXT NOT NULL,
    work_queue_prefix TEXT,
    last_heartbeat_time TIMESTAMP_INT,
    heartbeat_interval_seconds DOUBLE,
    drain_requested TIMESTAMP_INT,
    PRIMARY KEY (id)
);

CREATE TABLE variable (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    value JSON_TEXT NOT NULL,
    tags JSON_TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE secret (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE concurrency_limit (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    active BOOL_INT NOT NULL,
    slot_limit INTEGER NOT NULL,
    active_slots DOUBLE NOT NULL,
    denied_slots DOUBLE NOT NULL,
    slot_decay_per_second DOUBLE NOT NULL,
    avg_slot_occupancy_seconds DOUBLE NOT NULL,
    counted_at TIMESTAMP_INT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE concurrency_lease (
    id UUID_TEXT NOT NULL,
    limit_id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    expires_at TIMESTAMP_INT NOT NULL,
    slots INTEGER NOT NULL,
    holder_type TEXT,
    holder_id UUID_TEXT,
    PRIMARY KEY (id, limit_id)
);

CREATE INDEX ix_concurrency_lease_expires ON concurrency_lease (expires_at);

CREATE INDEX ix_concurrency_lease_limit ON concurrency_lease (limit_id, expires_at);

CREATE TABLE flow_run (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    flow_id UUID_TEXT NOT NULL,
    deployment_id UUID_TEXT,
    schedule_id UUID_TEXT,
    work_pool_id UUID_TEXT,
    work_queue_id UUID_TEXT,
    state_id UUID_TEXT,
    state_type TEXT,
    state_name TEXT,
    state_timestamp TIMESTAMP_INT,
    due_at TIMESTAMP_INT,
    expected_start_time TIMESTAMP_INT,
    start_time TIMESTAMP_INT,
    end_time TIMESTAMP_INT,
    total_run_time DOUBLE NOT NULL,
    run_count INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    auto_scheduled BOOL_INT NOT NULL,
    holds_slot BOOL_INT NOT NULL,
    fence INTEGER NOT NULL,
    lease_expires_at TIMESTAMP_INT,
    worker_id UUID_TEXT,
    restarts INTEGER,
    restarts_begun INTEGER,
    key_id UUID_TEXT,
    belated BOOL_INT,
    PRIMARY KEY (id)
);

CREATE INDEX ix_flow_run_ahead ON flow_run (schedule_id, due_at) WHERE state_type = 'SCHEDULED';

CREATE INDEX ix_flow_run_attended ON flow_run (worker_id) WHERE state_type = 'CANCELLING' OR state_name = 'Lost?';

CREATE INDEX ix_flow_run_belated ON flow_run (work_queue_id, priority, due_at, id) WHERE belated;

CREATE INDEX ix_flow_run_deployment ON flow_run (deployment_id, expected_start_time);

CREATE INDEX ix_flow_run_deployment_slots ON flow_run (deployment_id) WHERE holds_slot;

CREATE INDEX ix_flow_run_ended ON flow_run (end_time, id) WHERE end_time IS NOT NULL;

CREATE INDEX ix_flow_run_expected_start ON flow_run (expected_start_time, id);

CREATE INDEX ix_flow_run_flow ON flow_run (flow_id);

CREATE INDEX ix_flow_run_holder ON flow_run (worker_id) WHERE lease_expires_at IS NOT NULL;

CREATE INDEX ix_flow_run_key_slots ON flow_run (key_id) WHERE holds_slot AND key_id IS NOT NULL;

CREATE INDEX ix_flow_run_key_waiting ON flow_run (key_id, due_at) WHERE state_type = 'SCHEDULED' AND key_id IS NOT NULL;

CREATE INDEX ix_flow_run_lanes ON flow_run (work_queue_id, priority, deployment_id, key_id, due_at, id) WHERE state_type = 'SCHEDULED';

CREATE INDEX ix_flow_run_lease ON flow_run (lease_expires_at) WHERE lease_expires_at IS NOT NULL;

CREATE INDEX ix_flow_run_not_late ON flow_run (due_at) WHERE state_name = 'Scheduled';

CREATE INDEX ix_flow_run_over ON flow_run (state_type, expected_start_time, state_name, start_time, total_run_time) WHERE state_type IN ('CANCELLED', 'COMPLETED', 'CRASHED', 'FAILED');

CREATE INDEX ix_flow_run_ready ON flow_run (work_queue_id, priority, due_at, id) WHERE state_type = 'SCHEDULED';

CREATE INDEX ix_flow_run_slots ON flow_run (work_pool_id, work_queue_id, deployment_id) WHERE holds_slot;

CREATE INDEX ix_flow_run_start ON flow_run (COALESCE(start_time, expected_start_time));

CREATE INDEX ix_flow_run_state ON flow_run (state_type, expected_start_time);

CREATE INDEX ix_flow_run_waiting_of_deployment ON flow_run (deployment_id, due_at) WHERE state_type = 'SCHEDULED';

CREATE TABLE flow_run_detail (
    flow_run_id UUID_TEXT NOT NULL,
    flow_id UUID_TEXT NOT NULL,
    name TEXT NOT NULL,
    idempotency_key TEXT,
    flow_version TEXT,
    deployment_version TEXT,
    parameters JSON_TEXT NOT NULL,
    context JSON_TEXT NOT NULL,
    tags JSON_TEXT NOT NULL,
    labels JSON_TEXT NOT NULL,
    empirical_policy JSON_TEXT NOT NULL,
    job_variables JSON_TEXT,
    parent_task_run_id UUID_TEXT,
    infrastructure_document_id UUID_TEXT,
    infrastructure_pid TEXT,
    created_by JSON_TEXT,
    concurrency_key TEXT,
    infrastructure_trace JSON_TEXT,
    PRIMARY KEY (flow_run_id)
);

CREATE INDEX ix_flow_run_parent_task_run ON flow_run_detail (parent_task_run_id) WHERE parent_task_run_id IS NOT NULL;

CREATE UNIQUE INDEX uq_flow_run_idempotency_key ON flow_run_detail (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE flow_run_state (
    flow_run_id UUID_TEXT NOT NULL,
    id UUID_TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    timestamp TIMESTAMP_INT NOT NULL,
    message TEXT,
    state_details JSON_TEXT NOT NULL,
    data JSON_TEXT,
    PRIMARY KEY (flow_run_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_flow_run_state_id ON flow_run_state (id);

CREATE TABLE flow_run_input (
    flow_run_id UUID_TEXT NOT NULL,
    "key" TEXT NOT NULL,
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    value TEXT NOT NULL,
    sender TEXT,
    PRIMARY KEY (flow_run_id, "key")
);

CREATE TABLE task_run (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    flow_run_id UUID_TEXT,
    task_key TEXT NOT NULL,
    dynamic_key TEXT NOT NULL,
    name TEXT NOT NULL,
    cache_key TEXT,
    cache_expiration TIMESTAMP_INT,
    task_version TEXT,
    empirical_policy JSON_TEXT NOT NULL,
    tags JSON_TEXT NOT NULL,
    labels JSON_TEXT NOT NULL,
    task_inputs JSON_TEXT NOT NULL,
    state_id UUID_TEXT,
    state_type TEXT,
    state_name TEXT,
    state_timestamp TIMESTAMP_INT,
    due_at TIMESTAMP_INT,
    expected_start_time TIMESTAMP_INT,
    start_time TIMESTAMP_INT,
    end_time TIMESTAMP_INT,
    total_run_time DOUBLE NOT NULL,
    run_count INTEGER NOT NULL,
    flow_run_run_count INTEGER NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX ix_task_run_alone_ended ON task_run (end_time, id) WHERE flow_run_id IS NULL AND end_time IS NOT NULL;

CREATE INDEX ix_task_run_expected_start ON task_run (expected_start_time, id);

CREATE UNIQUE INDEX uq_task_run_alone ON task_run (task_key, dynamic_key) WHERE flow_run_id IS NULL;

CREATE UNIQUE INDEX uq_task_run_key ON task_run (flow_run_id, task_key, dynamic_key) WHERE flow_run_id IS NOT NULL;

CREATE TABLE task_worker (
    id UUID_TEXT NOT NULL,
    identifier TEXT NOT NULL,
    task_keys JSON_TEXT NOT NULL,
    last_seen TIMESTAMP_INT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE task_run_state (
    task_run_id UUID_TEXT NOT NULL,
    id UUID_TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    timestamp TIMESTAMP_INT NOT NULL,
    message TEXT,
    state_details JSON_TEXT NOT NULL,
    data JSON_TEXT,
    cache_key TEXT,
    cache_expiration TIMESTAMP_INT,
    PRIMARY KEY (task_run_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_task_run_state_cache_key ON task_run_state (cache_key) WHERE cache_key IS NOT NULL;

CREATE TABLE log (
    flow_run_id UUID_TEXT NOT NULL,
    id UUID_TEXT NOT NULL,
    task_run_id UUID_TEXT,
    timestamp TIMESTAMP_INT NOT NULL,
    level INTEGER NOT NULL,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (flow_run_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_log_timestamp ON log (flow_run_id, timestamp, id);

CREATE TABLE event (
    id UUID_TEXT NOT NULL,
    event_id UUID_TEXT NOT NULL,
    occurred TIMESTAMP_INT NOT NULL,
    event TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    resource JSON_TEXT NOT NULL,
    related JSON_TEXT NOT NULL,
    payload JSON_TEXT NOT NULL,
    follows UUID_TEXT,
    PRIMARY KEY (id)
)
 WITHOUT ROWID;

CREATE INDEX ix_event_event_id ON event (event_id);

CREATE INDEX ix_event_occurred ON event (occurred);

CREATE TABLE loop_leader (
    name TEXT NOT NULL,
    holder_id UUID_TEXT NOT NULL,
    place TEXT NOT NULL,
    since TIMESTAMP_INT NOT NULL,
    expires_at TIMESTAMP_INT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE block_schema (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    checksum TEXT NOT NULL,
    version TEXT NOT NULL,
    fields JSON_TEXT NOT NULL,
    capabilities JSON_TEXT NOT NULL,
    block_type_id UUID_TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_block_schema_checksum_version UNIQUE (checksum, version),
    FOREIGN KEY(block_type_id) REFERENCES block_type (id) ON DELETE CASCADE
);

CREATE INDEX ix_block_schema_block_type_id ON block_schema (block_type_id);

CREATE TABLE work_queue (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    work_pool_id UUID_TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    is_paused BOOL_INT NOT NULL,
    concurrency_limit INTEGER,
    priority INTEGER NOT NULL,
    filter JSON_TEXT,
    last_polled TIMESTAMP_INT,
    pause JSON_TEXT,
    PRIMARY KEY (id),
    CONSTRAINT uq_work_queue_pool_name UNIQUE (work_pool_id, name),
    FOREIGN KEY(work_pool_id) REFERENCES work_pool (id) ON DELETE CASCADE
);

CREATE TABLE worker (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    work_pool_id UUID_TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT,
    last_heartbeat_time TIMESTAMP_INT,
    heartbeat_interval_seconds DOUBLE,
    drain_requested TIMESTAMP_INT,
    site TEXT,
    PRIMARY KEY (id),
    CONSTRAINT uq_worker_pool_name UNIQUE (work_pool_id, name),
    FOREIGN KEY(work_pool_id) REFERENCES work_pool (id) ON DELETE CASCADE
);

CREATE TABLE waiting_task (
    task_run_id UUID_TEXT NOT NULL,
    task_key TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    offered_until TIMESTAMP_INT NOT NULL,
    PRIMARY KEY (task_run_id),
    FOREIGN KEY(task_run_id) REFERENCES task_run (id) ON DELETE CASCADE
);

CREATE INDEX ix_waiting_task_key ON waiting_task (task_key, created, task_run_id);

CREATE TABLE block_document (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    name TEXT NOT NULL,
    block_type_id UUID_TEXT NOT NULL,
    block_schema_id UUID_TEXT NOT NULL,
    is_anonymous BOOL_INT NOT NULL,
    is_sealed BOOL_INT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_block_document_type_name UNIQUE (block_type_id, name),
    FOREIGN KEY(block_type_id) REFERENCES block_type (id) ON DELETE CASCADE,
    FOREIGN KEY(block_schema_id) REFERENCES block_schema (id) ON DELETE CASCADE
);

CREATE INDEX ix_block_document_block_schema_id ON block_document (block_schema_id);

CREATE TABLE deployment (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    flow_id UUID_TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    description TEXT,
    paused BOOL_INT NOT NULL,
    concurrency_limit INTEGER,
    concurrency_options JSON_TEXT,
    job_variables JSON_TEXT NOT NULL,
    parameters JSON_TEXT NOT NULL,
    parameter_openapi_schema JSON_TEXT,
    enforce_parameter_schema BOOL_INT NOT NULL,
    tags JSON_TEXT NOT NULL,
    labels JSON_TEXT NOT NULL,
    work_queue_id UUID_TEXT,
    work_queue_name TEXT,
    path TEXT,
    pull_steps JSON_TEXT,
    entrypoint TEXT,
    command TEXT,
    storage_document_id UUID_TEXT,
    infrastructure_document_id UUID_TEXT,
    last_polled TIMESTAMP_INT,
    pause JSON_TEXT,
    cancels_new BOOL_INT,
    infra_retries JSON_TEXT,
    concurrency_key JSON_TEXT,
    key_limit INTEGER,
    key_strategy TEXT,
    shared_limit_id UUID_TEXT,
    PRIMARY KEY (id),
    CONSTRAINT uq_deployment_flow_name UNIQUE (flow_id, name),
    FOREIGN KEY(flow_id) REFERENCES flow (id) ON DELETE CASCADE,
    FOREIGN KEY(work_queue_id) REFERENCES work_queue (id) ON DELETE SET NULL
);

CREATE INDEX ix_deployment_cancels_new ON deployment (id) WHERE cancels_new;

CREATE INDEX ix_deployment_key_strategy ON deployment (id) WHERE key_strategy IS NOT NULL;

CREATE INDEX ix_deployment_shared_limit_id ON deployment (shared_limit_id) WHERE shared_limit_id IS NOT NULL;

CREATE INDEX ix_deployment_work_queue_id ON deployment (work_queue_id);

CREATE TABLE block_reference (
    parent_id UUID_TEXT NOT NULL,
    name TEXT NOT NULL,
    document_id UUID_TEXT NOT NULL,
    PRIMARY KEY (parent_id, name),
    FOREIGN KEY(parent_id) REFERENCES block_document (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES block_document (id) ON DELETE CASCADE
);

CREATE INDEX ix_block_reference_document_id ON block_reference (document_id);

CREATE TABLE flow_run_notification_policy (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    is_active BOOL_INT NOT NULL,
    state_names JSON_TEXT NOT NULL,
    tags JSON_TEXT NOT NULL,
    block_document_id UUID_TEXT NOT NULL,
    message_template TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(block_document_id) REFERENCES block_document (id) ON DELETE CASCADE
);

CREATE INDEX ix_flow_run_notification_policy_block_document_id ON flow_run_notification_policy (block_document_id);

CREATE TABLE deployment_schedule (
    id UUID_TEXT NOT NULL,
    created TIMESTAMP_INT NOT NULL,
    updated TIMESTAMP_INT NOT NULL,
    deployment_id UUID_TEXT NOT NULL,
    schedule JSON_TEXT NOT NULL,
    active BOOL_INT NOT NULL,
    max_scheduled_runs INTEGER,
    parameters JSON_TEXT NOT NULL,
    job_variables JSON_TEXT NOT NULL,
    slug TEXT,
    pause JSON_TEXT,
    misfire JSON_TEXT,
    made_until TIMESTAMP_INT,
    PRIMARY KEY (id),
    FOREIGN KEY(deployment_id) REFERENCES deployment (id) ON DELETE CASCADE
);

CREATE INDEX ix_deployment_schedule_deployment_id ON deployment_schedule (deployment_id);

CREATE INDEX ix_deployment_schedule_misfire ON deployment_schedule (id) WHERE misfire IS NOT NULL;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

