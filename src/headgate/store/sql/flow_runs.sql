-- name: insert
INSERT INTO flow_run (id, created, updated, flow_id, deployment_id, schedule_id, work_pool_id, work_queue_id,
                      state_id, state_type, state_name, state_timestamp, due_at, expected_start_time, start_time,
                      end_time, total_run_time, run_count, priority, auto_scheduled, holds_slot, fence,
                      lease_expires_at, worker_id, key_id, belated)
VALUES (:id, :created, :created, :flow_id, :deployment_id, :schedule_id, :work_pool_id, :work_queue_id,
        :state_id, :state_type, :state_name, :state_timestamp, :due_at, :expected_start_time, :start_time,
        :end_time, 0.0, :run_count, :priority, :auto_scheduled, :holds_slot, 0, NULL, NULL, :key_id, :belated)

-- name: insert [postgresql]
INSERT INTO flow_run (id, created, updated, flow_id, deployment_id, schedule_id, work_pool_id, work_queue_id,
                      state_id, state_type, state_name, state_timestamp, due_at, expected_start_time, start_time,
                      end_time, total_run_time, run_count, priority, auto_scheduled, holds_slot, fence, key_id, belated)
SELECT s.id, s.created, s.created, s.flow_id, s.deployment_id, s.schedule_id, s.work_pool_id, s.work_queue_id,
       s.state_id, s.state_type, s.state_name, s.state_timestamp, s.due_at, s.expected_start_time, s.start_time,
       s.end_time, 0.0, s.run_count, s.priority, s.auto_scheduled, s.holds_slot, 0, s.key_id, s.belated
FROM unnest(:id::uuid[*], :created::timestamptz[*], :flow_id::uuid[*], :deployment_id::uuid[*], :schedule_id::uuid[*],
            :work_pool_id::uuid[*], :work_queue_id::uuid[*], :state_id::uuid[*], :state_type::text[*], :state_name::text[*],
            :state_timestamp::timestamptz[*], :due_at::timestamptz[*], :expected_start_time::timestamptz[*],
            :start_time::timestamptz[*], :end_time::timestamptz[*], :run_count::integer[*], :priority::integer[*],
            :auto_scheduled::boolean[*], :holds_slot::boolean[*], :key_id::uuid[*], :belated::boolean[*])
     AS s(id, created, flow_id, deployment_id, schedule_id, work_pool_id, work_queue_id, state_id, state_type, state_name,
          state_timestamp, due_at, expected_start_time, start_time, end_time, run_count, priority, auto_scheduled,
          holds_slot, key_id, belated)

-- name: insert_detail
-- No row, and no error, when the flow has a run of that idempotency key.
INSERT INTO flow_run_detail (flow_run_id, flow_id, name, idempotency_key, flow_version, deployment_version, parameters,
                             context, tags, labels, empirical_policy, job_variables, parent_task_run_id,
                             infrastructure_document_id, infrastructure_pid, created_by, concurrency_key)
VALUES (:flow_run_id, :flow_id, :name, :idempotency_key, :flow_version, :deployment_version, :parameters,
        :context, :tags, :labels, :empirical_policy, :job_variables, :parent_task_run_id,
        :infrastructure_document_id, NULL, :created_by, :concurrency_key)
ON CONFLICT DO NOTHING
RETURNING flow_run_id

-- name: insert_detail [postgresql]
INSERT INTO flow_run_detail (flow_run_id, flow_id, name, idempotency_key, flow_version, deployment_version, parameters,
                             context, tags, labels, empirical_policy, job_variables, parent_task_run_id,
                             infrastructure_document_id, created_by, concurrency_key)
SELECT * FROM unnest(:flow_run_id::uuid[*], :flow_id::uuid[*], :name::text[*], :idempotency_key::text[*],
                     :flow_version::text[*], :deployment_version::text[*], :parameters::json[*], :context::json[*],
                     :tags::jsonb[*], :labels::json[*], :empirical_policy::json[*], :job_variables::json[*],
                     :parent_task_run_id::uuid[*], :infrastructure_document_id::uuid[*], :created_by::json[*],
                     :concurrency_key::text[*])
ON CONFLICT DO NOTHING
RETURNING flow_run_id

-- name: by_keys
-- The runs that idempotency keys of flows stand for.
SELECT d.flow_id, d.idempotency_key, d.flow_run_id FROM flow_run_detail d
WHERE d.flow_id IN :flow_ids::uuid[] AND d.idempotency_key IN :keys::text[]

-- name: select
-- Whole runs, as the wire shows them, without queues and pools that are gone; a condition on r, d, q, p follows.
SELECT r.id, r.created, r.updated, r.flow_id, r.state_id, r.deployment_id, q.id AS work_queue_id, p.id AS work_pool_id,
       r.state_type, r.state_name, r.state_timestamp, r.run_count, r.expected_start_time, r.due_at, r.start_time, r.end_time,
       r.total_run_time, r.auto_scheduled, r.fence,
       d.name, d.idempotency_key, d.flow_version, d.deployment_version, d.parameters, d.context, d.tags, d.labels,
       d.empirical_policy, d.job_variables, d.parent_task_run_id, d.infrastructure_document_id,
       d.infrastructure_pid, d.created_by, d.concurrency_key,
       s.message AS state_message, s.state_details, s.data AS state_data,
       q.name AS work_queue_name, p.name AS work_pool_name
FROM flow_run r
JOIN flow_run_detail d ON d.flow_run_id = r.id
LEFT JOIN flow_run_state s ON s.flow_run_id = r.id AND s.id = r.state_id
LEFT JOIN work_queue q ON q.id = r.work_queue_id
LEFT JOIN work_pool p ON p.id = r.work_pool_id

-- name: only_startable
-- What is read besides of runs that are about to be started: what the rules need of them, and their flows.
SELECT r.lease_expires_at, r.worker_id, r.key_id, COALESCE(r.restarts, 0) AS restarts,
       COALESCE(r.restarts_begun, 0) AS restarts_begun, e.infra_retries, e.concurrency_limit IS NOT NULL AS is_limited,
       FALSE AS is_paced, FALSE AS is_narrow, e.shared_limit_id, e.cancels_new,
       f.created AS flow_created, f.updated AS flow_updated, f.name AS flow_name, f.tags AS flow_tags,
       f.labels AS flow_labels
FROM flow_run r
LEFT JOIN deployment e ON e.id = r.deployment_id
LEFT JOIN flow f ON f.id = r.flow_id
WHERE r.id IN :ids::uuid[]

-- name: locked
-- What the rules need of runs that are about to change state, in id order so that batches which lock them do not deadlock;
-- nothing where one of `holders` holds no slot.
SELECT r.id, r.deployment_id, r.work_pool_id, r.work_queue_id, r.state_id, r.state_type, r.state_name,
       r.state_timestamp, r.due_at, r.expected_start_time, r.start_time, r.end_time, r.total_run_time, r.run_count,
       r.fence, r.lease_expires_at, r.worker_id, r.key_id, COALESCE(r.restarts, 0) AS restarts,
       COALESCE(r.restarts_begun, 0) AS restarts_begun, d.empirical_policy, d.parent_task_run_id,
       d.infrastructure_pid, e.infra_retries,
       e.concurrency_limit IS NOT NULL AS is_limited, e.shared_limit_id, e.cancels_new,
       p.launch_limit IS NOT NULL AS is_paced, q.concurrency_limit IS NOT NULL AS is_narrow,
       s.message AS state_message, s.state_details, s.data AS state_data
FROM flow_run r
JOIN flow_run_detail d ON d.flow_run_id = r.id
LEFT JOIN deployment e ON e.id = r.deployment_id
LEFT JOIN work_pool p ON p.id = r.work_pool_id
LEFT JOIN work_queue q ON q.id = r.work_queue_id
LEFT JOIN flow_run_state s ON s.flow_run_id = r.id AND s.id = r.state_id
WHERE r.id IN :ids::uuid[]
  AND NOT EXISTS (SELECT 1 FROM flow_run h WHERE h.id IN :holders::uuid[] AND NOT h.holds_slot)
ORDER BY r.id

-- name: enter
-- A run enters a state, with all that follows from it; its history is for `insert_state` to write. One that waited for the
-- same time before keeps its place, and is no more belated than it was.
UPDATE flow_run
SET updated = :updated, state_id = :state_id, state_type = :state_type, state_name = :state_name,
    state_timestamp = :state_timestamp, due_at = :due_at, expected_start_time = :expected_start_time,
    start_time = :start_time, end_time = :end_time, total_run_time = :total_run_time, run_count = :run_count,
    holds_slot = :holds_slot, fence = :fence, lease_expires_at = :lease_expires_at, worker_id = :worker_id,
    restarts = :restarts, restarts_begun = :restarts_begun,
    belated = CASE WHEN :state_type = 'SCHEDULED' AND state_type = 'SCHEDULED' AND due_at = :due_at THEN belated
                   ELSE :belated END
WHERE id = :id

-- name: enter [postgresql]
-- With its history, in the one round trip. A run that is there twice is set to what it entered last. Each comes as the text
-- of a JSON record, since so many columns are not worth an array each; what is JSON itself is text in it, to be kept letter
-- by letter. Of the array of these the planner expects few rows, as it does of others.
WITH given AS (
    SELECT g.* FROM unnest(CAST(:entered AS text[])) AS t(line) CROSS JOIN LATERAL json_to_record(CAST(t.line AS json))
     AS g(id uuid, updated timestamptz, state_id uuid, state_type text, state_name text, state_timestamp timestamptz,
          due_at timestamptz, expected_start_time timestamptz, start_time timestamptz, end_time timestamptz,
          total_run_time float8, run_count integer, holds_slot boolean, fence integer, lease_expires_at timestamptz,
          worker_id uuid, restarts integer, restarts_begun integer, belated boolean, message text, state_details text,
          data text, is_last boolean)
), history AS (
    INSERT INTO flow_run_state (flow_run_id, id, type, name, timestamp, message, state_details, data)
    SELECT id, state_id, state_type, state_name, state_timestamp, message, CAST(state_details AS json), CAST(data AS json)
    FROM given
)
UPDATE flow_run r
SET updated = s.updated, state_id = s.state_id, state_type = s.state_type, state_name = s.state_name,
    state_timestamp = s.state_timestamp, due_at = s.due_at, expected_start_time = s.expected_start_time,
    start_time = s.start_time, end_time = s.end_time, total_run_time = s.total_run_time, run_count = s.run_count,
    holds_slot = s.holds_slot, fence = s.fence, lease_expires_at = s.lease_expires_at, worker_id = s.worker_id,
    restarts = s.restarts, restarts_begun = s.restarts_begun,
    belated = CASE WHEN s.state_type = 'SCHEDULED' AND r.state_type = 'SCHEDULED' AND r.due_at = s.due_at THEN r.belated
                   ELSE s.belated END
FROM given s WHERE r.id = s.id AND s.is_last

-- name: rehome
-- Runs that wait again, but whose queue is gone since, go to that of their deployment, where they may be belated.
UPDATE flow_run
SET work_queue_id = (SELECT e.work_queue_id FROM deployment e WHERE e.id = flow_run.deployment_id),
    work_pool_id = (SELECT q.work_pool_id FROM deployment e JOIN work_queue q ON q.id = e.work_queue_id
                    WHERE e.id = flow_run.deployment_id),
    belated = TRUE
WHERE id IN :ids::uuid[] AND work_queue_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM work_queue q WHERE q.id = flow_run.work_queue_id)

-- name: update_detail
UPDATE flow_run_detail
SET name = :name, flow_version = :flow_version, parameters = :parameters, tags = :tags, labels = :labels,
    empirical_policy = :empirical_policy, infrastructure_pid = :infrastructure_pid, job_variables = :job_variables,
    infrastructure_trace = CASE WHEN :traces THEN :infrastructure_trace::json ELSE infrastructure_trace END
WHERE flow_run_id = :id

-- name: set_policy
UPDATE flow_run_detail SET empirical_policy = :empirical_policy WHERE flow_run_id = :id

-- name: touch
UPDATE flow_run SET updated = :updated WHERE id = :id

-- name: ids_of_flow
SELECT id FROM flow_run WHERE flow_id = :flow_id

-- name: delete_logs
DELETE FROM log WHERE flow_run_id IN :ids::uuid[]

-- name: delete_states
DELETE FROM flow_run_state WHERE flow_run_id IN :ids::uuid[]

-- name: delete_artifacts
DELETE FROM artifact WHERE flow_run_id IN :ids::uuid[]

-- name: delete_inputs
DELETE FROM flow_run_input WHERE flow_run_id IN :ids::uuid[]

-- name: delete_details
DELETE FROM flow_run_detail WHERE flow_run_id IN :ids::uuid[]

-- name: delete
DELETE FROM flow_run WHERE id IN :ids::uuid[]

-- name: gates_of
-- Where runs that hold no slot need one, read before any lock is taken: limits are locked first.
SELECT DISTINCT r.work_pool_id, e.shared_limit_id,
       CASE WHEN e.concurrency_limit IS NOT NULL OR (r.key_id IS NOT NULL AND e.key_limit IS NOT NULL)
            THEN e.id END AS deployment_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.id IN :ids::uuid[] AND NOT r.holds_slot

-- name: pools_of
-- The pools of runs.
SELECT DISTINCT work_pool_id FROM flow_run WHERE id IN :ids::uuid[] AND work_pool_id IS NOT NULL
