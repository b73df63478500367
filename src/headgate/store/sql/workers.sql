-- name: beat
-- A worker is alive. Heartbeats change one row; they are never stored as rows. A new process of the name is not draining.
-- Whether there is something for `claims.to_attend` to find is asked by the way: there hardly ever is.
INSERT INTO worker (id, created, updated, work_pool_id, name, type, last_heartbeat_time, heartbeat_interval_seconds, site)
VALUES (:id, :now, :now, :work_pool_id, :name, :type, :now, :interval, :site)
ON CONFLICT (work_pool_id, name) DO UPDATE
SET last_heartbeat_time = excluded.last_heartbeat_time,
    type = COALESCE(excluded.type, worker.type),
    heartbeat_interval_seconds = COALESCE(excluded.heartbeat_interval_seconds, worker.heartbeat_interval_seconds),
    site = COALESCE(excluded.site, CASE WHEN :joins THEN NULL ELSE worker.site END),
    id = CASE WHEN :joins THEN excluded.id ELSE worker.id END,
    drain_requested = CASE WHEN :joins AND worker.id <> excluded.id THEN NULL ELSE worker.drain_requested END
RETURNING id, drain_requested,
          EXISTS (SELECT 1 FROM flow_run r
                  WHERE r.worker_id = worker.id AND (r.state_type = 'CANCELLING' OR r.state_name = 'Lost?')) AS attends

-- name: select
-- Workers; a condition on w follows.
SELECT w.id, w.created, w.updated, w.name, w.work_pool_id, w.type, w.last_heartbeat_time, w.heartbeat_interval_seconds,
       w.drain_requested
FROM worker w

-- name: on_sites
-- Workers of pools that can find infrastructure again on some sites and are not to leave, the last alive first.
SELECT id, work_pool_id, name, site, last_heartbeat_time, heartbeat_interval_seconds FROM worker
WHERE work_pool_id IN :pool_ids::uuid[] AND site IN :sites::text[] AND drain_requested IS NULL
ORDER BY last_heartbeat_time DESC, id

-- name: drain
-- A worker is to finish what it has and to leave; the first request stands.
UPDATE worker SET updated = :now, drain_requested = COALESCE(drain_requested, :now)
WHERE work_pool_id = :work_pool_id AND name = :name

-- name: delete
DELETE FROM worker WHERE work_pool_id = :work_pool_id AND name = :name
