-- name: insert
-- No row, and no error, when there is one of that id or of that key.
INSERT INTO task_run (id, created, updated, flow_run_id, task_key, dynamic_key, name, cache_key, cache_expiration,
                      task_version, empirical_policy, tags, labels, task_inputs, state_id, state_type, state_name,
                      state_timestamp, due_at, expected_start_time, start_time, end_time, total_run_time, run_count,
                      flow_run_run_count)
VALUES (:id, :created, :updated, :flow_run_id, :task_key, :dynamic_key, :name, :cache_key, :cache_expiration,
        :task_version, :empirical_policy, :tags, :labels, :task_inputs, :state_id, :state_type, :state_name,
        :state_timestamp, :due_at, :expected_start_time, :start_time, :end_time, :total_run_time, :run_count,
        :flow_run_run_count)
ON CONFLICT DO NOTHING

-- name: upsert
-- A task run as it is by now. The one that is there already stays when it is in a later state: reports may overtake
-- each other, and another server may have been quicker.
INSERT INTO task_run (id, created, updated, flow_run_id, task_key, dynamic_key, name, cache_key, cache_expiration,
                      task_version, empirical_policy, tags, labels, task_inputs, state_id, state_type, state_name,
                      state_timestamp, due_at, expected_start_time, start_time, end_time, total_run_time, run_count,
                      flow_run_run_count)
VALUES (:id, :created, :updated, :flow_run_id, :task_key, :dynamic_key, :name, :cache_key, :cache_expiration,
        :task_version, :empirical_policy, :tags, :labels, :task_inputs, :state_id, :state_type, :state_name,
        :state_timestamp, :due_at, :expected_start_time, :start_time, :end_time, :total_run_time, :run_count,
        :flow_run_run_count)
ON CONFLICT (id) DO UPDATE
SET updated = excluded.updated, flow_run_id = excluded.flow_run_id, task_key = excluded.task_key,
    dynamic_key = excluded.dynamic_key, name = excluded.name, cache_key = excluded.cache_key,
    cache_expiration = excluded.cache_expiration, task_version = excluded.task_version,
    empirical_policy = excluded.empirical_policy, tags = excluded.tags, labels = excluded.labels,
    task_inputs = excluded.task_inputs, state_id = excluded.state_id, state_type = excluded.state_type,
    state_name = excluded.state_name, state_timestamp = excluded.state_timestamp, due_at = excluded.due_at,
    expected_start_time = excluded.expected_start_time, start_time = excluded.start_time, end_time = excluded.end_time,
    total_run_time = excluded.total_run_time, run_count = excluded.run_count,
    flow_run_run_count = excluded.flow_run_run_count
WHERE task_run.state_timestamp IS NULL
   OR (task_run.state_timestamp, task_run.state_id) <= (excluded.state_timestamp, excluded.state_id)

-- name: insert_state
-- No error when the state is there: it was reported twice.
INSERT INTO task_run_state (task_run_id, id, type, name, timestamp, message, state_details, data, cache_key,
                            cache_expiration)
VALUES (:task_run_id, :id, :type, :name, :timestamp, :message, :state_details, :data::json, :cache_key,
        :cache_expiration)
ON CONFLICT DO NOTHING

-- name: select
-- Whole task runs, as the wire shows them; a condition on t follows.
SELECT t.id, t.created, t.updated, t.flow_run_id, t.task_key, t.dynamic_key, t.name, t.cache_key, t.cache_expiration,
       t.task_version, t.empirical_policy, t.tags, t.labels, t.task_inputs, t.state_id, t.state_type, t.state_name,
       t.state_timestamp, t.due_at, t.expected_start_time, t.start_time, t.end_time, t.total_run_time, t.run_count,
       t.flow_run_run_count, s.message AS state_message, s.state_details, s.data AS state_data
FROM task_run t
LEFT JOIN task_run_state s ON s.task_run_id = t.id AND s.id = t.state_id

-- name: lock
-- Task runs that are about to change, in one order.
SELECT id FROM task_run t WHERE id IN :ids::uuid[] ORDER BY id

-- name: lock [postgresql]
SELECT id FROM task_run t WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR UPDATE

-- name: by_keys
-- Ids of task runs of flow runs by their keys: those that are wanted, and perhaps more.
SELECT t.id, t.flow_run_id, t.task_key, t.dynamic_key FROM task_run t
WHERE t.flow_run_id IN :flow_run_ids::uuid[] AND t.task_key IN :task_keys::text[] AND t.dynamic_key IN :dynamic_keys::text[]

-- name: by_keys_alone
-- The same of task runs that belong to no flow run.
SELECT t.id, t.flow_run_id, t.task_key, t.dynamic_key FROM task_run t
WHERE t.flow_run_id IS NULL AND t.task_key IN :task_keys::text[] AND t.dynamic_key IN :dynamic_keys::text[]

-- name: states
SELECT id, type, name, timestamp, message, state_details, data
FROM task_run_state WHERE task_run_id = :task_run_id ORDER BY timestamp, id

-- name: delete_states_of_runs
DELETE FROM task_run_state WHERE task_run_id IN (SELECT id FROM task_run WHERE flow_run_id IN :ids::uuid[])

-- name: delete_of_runs
DELETE FROM task_run WHERE flow_run_id IN :ids::uuid[]

-- name: delete_states
DELETE FROM task_run_state WHERE task_run_id IN :ids::uuid[]

-- name: delete_logs
DELETE FROM log WHERE flow_run_id = :flow_run_id AND task_run_id = :task_run_id

-- name: delete
DELETE FROM task_run WHERE id IN :ids::uuid[]

-- name: update
UPDATE task_run SET name = :name, updated = :updated WHERE id = :id

-- name: cached
-- The latest completed state under a cache key, unless it has expired.
SELECT id, type, name, timestamp, message, state_details, data FROM task_run_state
WHERE cache_key = :cache_key AND (cache_expiration IS NULL OR cache_expiration > :now)
ORDER BY timestamp DESC, id DESC LIMIT 1

-- name: enclosing
-- What task runs need to know of their flow runs.
SELECT r.id, r.state_type, r.run_count, s.state_details
FROM flow_run r LEFT JOIN flow_run_state s ON s.flow_run_id = r.id AND s.id = r.state_id
WHERE r.id IN :ids::uuid[]

-- name: state
-- One state, by its own id, which no index has: it is looked for at the task runs that were made before it, the latest
-- first, one probe each.
SELECT s.id, s.type, s.name, s.timestamp, s.message, s.state_details, s.data
FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id AND s.id = :id
WHERE t.id <= :id ORDER BY t.id DESC LIMIT 1

-- name: state_elsewhere
-- The same at those whose ids their clients made in another way.
SELECT s.id, s.type, s.name, s.timestamp, s.message, s.state_details, s.data
FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id AND s.id = :id
WHERE t.id > :id ORDER BY t.id LIMIT 1

-- name: children
-- The flow runs that task runs stand for.
SELECT d.parent_task_run_id, d.flow_run_id FROM flow_run_detail d WHERE d.parent_task_run_id IN :ids::uuid[]

-- name: count_of_runs
-- How many task runs flow runs have, without those that stand for flow runs.
SELECT t.flow_run_id, count(*) AS found FROM task_run t
WHERE t.flow_run_id IN :ids::uuid[] AND NOT EXISTS (SELECT 1 FROM flow_run_detail d WHERE d.parent_task_run_id = t.id)
GROUP BY t.flow_run_id
