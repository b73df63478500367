-- name: beat
-- An agent is alive and says what it polls. Whether there is something for `claims.to_attend` to find is asked by the way.
INSERT INTO agent (id, created, updated, name, work_pool_name, work_queue_names, work_queue_prefix,
                   last_heartbeat_time, heartbeat_interval_seconds)
VALUES (:id, :now, :now, :name, :work_pool_name, :work_queue_names::json, :work_queue_prefix, :now, :interval)
ON CONFLICT (id) DO UPDATE
SET name = COALESCE(excluded.name, agent.name),
    work_pool_name = excluded.work_pool_name,
    work_queue_names = excluded.work_queue_names,
    work_queue_prefix = excluded.work_queue_prefix,
    last_heartbeat_time = excluded.last_heartbeat_time,
    heartbeat_interval_seconds = COALESCE(excluded.heartbeat_interval_seconds, agent.heartbeat_interval_seconds)
RETURNING id, drain_requested,
          EXISTS (SELECT 1 FROM flow_run r
                  WHERE r.worker_id = agent.id AND (r.state_type = 'CANCELLING' OR r.state_name = 'Lost?')) AS attends

-- name: touch
-- An agent is alive. One that was forgotten is known again by its next claim.
UPDATE agent
SET last_heartbeat_time = :now, heartbeat_interval_seconds = COALESCE(:interval, heartbeat_interval_seconds)
WHERE id = :id
RETURNING drain_requested

-- name: select
-- Agents; a condition on a follows.
SELECT a.id, a.created, a.updated, a.name, a.work_pool_name, a.work_queue_names, a.work_queue_prefix,
       a.last_heartbeat_time, a.heartbeat_interval_seconds, a.drain_requested
FROM agent a

-- name: drain
-- An agent is to finish what it has and to leave; the first request stands.
UPDATE agent SET updated = :now, drain_requested = COALESCE(drain_requested, :now) WHERE id = :id

-- name: delete
DELETE FROM agent WHERE id = :id
