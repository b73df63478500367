-- name: insert
INSERT INTO work_pool (id, created, updated, name, description, type, base_job_template, is_paused,
                       concurrency_limit, default_queue_id, storage_configuration, pause, launch_rate, launch_limit,
                       fair_share)
VALUES (:id, :created, :updated, :name, :description, :type, :base_job_template, :is_paused,
        :concurrency_limit, :default_queue_id, :storage_configuration, :pause, :launch_rate, :launch_limit,
        :fair_share)
ON CONFLICT (name) DO NOTHING

-- name: select
-- Pools with the slots in use, and until when a worker of theirs counts as online by what was heard of it; a condition on p
-- follows.
SELECT p.id, p.created, p.updated, p.name, p.description, p.type, p.base_job_template, p.is_paused,
       p.concurrency_limit, p.default_queue_id, p.storage_configuration, p.pause, p.launch_rate, p.launch_limit,
       p.fair_share,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = p.id) AS active_slots,
       (SELECT max(w.last_heartbeat_time + CAST(3000000 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30) AS integer))
        FROM worker w WHERE w.work_pool_id = p.id) AS online_until
FROM work_pool p

-- name: select [postgresql]
SELECT p.id, p.created, p.updated, p.name, p.description, p.type, p.base_job_template, p.is_paused,
       p.concurrency_limit, p.default_queue_id, p.storage_configuration, p.pause, p.launch_rate, p.launch_limit,
       p.fair_share,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = p.id) AS active_slots,
       (SELECT max(w.last_heartbeat_time + make_interval(secs => 3 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30)))
        FROM worker w WHERE w.work_pool_id = p.id) AS online_until
FROM work_pool p

-- name: lock
-- The pool's row, held until the transaction ends: whoever decides about its slots or ranks holds it.
SELECT id, name, type, is_paused, concurrency_limit, base_job_template, default_queue_id,
       launch_rate, launches, launch_limit, fair_share, turns
FROM work_pool WHERE name = :name

-- name: lock [postgresql]
SELECT id, name, type, is_paused, concurrency_limit, base_job_template, default_queue_id,
       launch_rate, launches, launch_limit, fair_share, turns
FROM work_pool WHERE name = :name FOR UPDATE

-- name: demanding
-- Those of some pools whose template requires variables.
SELECT id FROM work_pool
WHERE id IN :ids::uuid[] AND json_array_length(json_extract(base_job_template, '$.variables.required')) > 0

-- name: demanding [postgresql]
SELECT id FROM work_pool
WHERE id IN :ids::uuid[] AND json_typeof(base_job_template #> '{variables,required}') = 'array'
  AND json_typeof(base_job_template #> '{variables,required,0}') IS NOT NULL

-- name: id_of
SELECT id FROM work_pool WHERE name = :name

-- name: type_of
SELECT type FROM work_pool WHERE id = :id

-- name: online_until
-- The same of one pool.
SELECT max(w.last_heartbeat_time + CAST(3000000 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30) AS integer))
FROM worker w WHERE w.work_pool_id = :id

-- name: online_until [postgresql]
SELECT max(w.last_heartbeat_time + make_interval(secs => 3 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30)))
FROM worker w WHERE w.work_pool_id = :id

-- name: untyped
-- Pools of agents, and whether a queue of theirs begins with a prefix.
SELECT p.id, p.name,
       EXISTS (SELECT 1 FROM work_queue q WHERE q.work_pool_id = p.id AND substr(q.name, 1, length(:prefix::text)) = :prefix::text)
           AS matches
FROM work_pool p WHERE p.type = :type

-- name: update
UPDATE work_pool
SET updated = :updated, description = :description, is_paused = :is_paused, base_job_template = :base_job_template,
    concurrency_limit = :concurrency_limit, storage_configuration = :storage_configuration, pause = :pause,
    launch_rate = :launch_rate, launch_limit = :launch_limit, fair_share = :fair_share
WHERE id = :id

-- name: set_launches
-- Note launches in a locked pool that has a launch rate.
UPDATE work_pool SET launches = :launches WHERE id = :id

-- name: set_turns
-- Note who was served in a locked pool that is shared fairly.
UPDATE work_pool SET turns = :turns WHERE id = :id

-- name: under_way
-- Whose runs have slots of a pool, and how many.
SELECT r.deployment_id, r.key_id, count(*) AS used FROM flow_run r
WHERE r.holds_slot AND r.work_pool_id = :id GROUP BY r.deployment_id, r.key_id

-- name: launching
-- How many runs of locked pools are being launched. Apart from the locking: what waits for a lock sees what was before.
SELECT r.work_pool_id AS id, count(*) AS used FROM flow_run r
WHERE r.holds_slot AND r.work_pool_id IN :ids::uuid[] AND r.state_type = 'PENDING'
GROUP BY r.work_pool_id

-- name: delete
-- Queues and workers go with it; deployments keep standing, without a pool.
DELETE FROM work_pool WHERE id = :id

-- name: orphan_runs
-- Waiting runs of a pool that goes: they wait for their deployment to be given another.
UPDATE flow_run SET work_pool_id = NULL, work_queue_id = NULL WHERE work_pool_id = :id AND state_type = 'SCHEDULED'

-- name: lock_many
-- Pools of runs that are about to be admitted, in the order of their names, as claims lock them.
SELECT id, name, type, is_paused, concurrency_limit, base_job_template, default_queue_id,
       launch_rate, launches, launch_limit, fair_share, turns
FROM work_pool WHERE id IN :ids::uuid[] ORDER BY name

-- name: lock_many [postgresql]
SELECT id, name, type, is_paused, concurrency_limit, base_job_template, default_queue_id,
       launch_rate, launches, launch_limit, fair_share, turns
FROM work_pool WHERE id = ANY(:ids::uuid[]) ORDER BY name COLLATE "C" FOR UPDATE
