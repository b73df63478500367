-- name: beat
-- A worker is alive. Heartbeats change one row; they are never stored as rows.
INSERT INTO worker (id, created, updated, work_pool_id, name, type, last_heartbeat_time, heartbeat_interval_seconds)
VALUES (:id, :now, :now, :work_pool_id, :name, :type, :now, :interval)
ON CONFLICT (work_pool_id, name) DO UPDATE
SET last_heartbeat_time = excluded.last_heartbeat_time,
    type = COALESCE(excluded.type, worker.type),
    heartbeat_interval_seconds = COALESCE(excluded.heartbeat_interval_seconds, worker.heartbeat_interval_seconds)
RETURNING id

-- name: select
-- Workers; a condition on w follows.
SELECT w.id, w.created, w.updated, w.name, w.work_pool_id, w.type, w.last_heartbeat_time, w.heartbeat_interval_seconds
FROM worker w

-- name: delete
DELETE FROM worker WHERE work_pool_id = :work_pool_id AND name = :name
