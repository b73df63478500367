-- name: live_children
-- Flow runs that go on within runs that ended as cancelled since a moment. One with a deployment that is being cancelled
-- has a process of its own, which its worker stops. The crossed joins and the wrapped type keep databases to this order:
-- runs by their end, and what hangs on them, not all that ever were cancelled or ran within another.
WITH cancelled AS MATERIALIZED (
    SELECT id FROM flow_run
    WHERE end_time IS NOT NULL AND end_time >= :since AND COALESCE(state_type, '') = 'CANCELLED'
)
SELECT c.id, c.state_id, c.deployment_id IS NOT NULL AS deployed
FROM cancelled r
CROSS JOIN task_run t
CROSS JOIN flow_run_detail d
CROSS JOIN flow_run c
WHERE t.flow_run_id = r.id AND d.parent_task_run_id = t.id AND c.id = d.flow_run_id
  AND c.end_time IS NULL AND (c.state_type <> 'CANCELLING' OR c.deployment_id IS NULL)
LIMIT :limit

-- name: live_tasks
-- Task runs that go on within such runs; those that stand for a flow run are where that is.
WITH cancelled AS MATERIALIZED (
    SELECT id FROM flow_run
    WHERE end_time IS NOT NULL AND end_time >= :since AND COALESCE(state_type, '') = 'CANCELLED'
)
SELECT t.id
FROM cancelled r
CROSS JOIN task_run t
WHERE t.flow_run_id = r.id AND t.end_time IS NULL
  AND NOT EXISTS (SELECT 1 FROM flow_run_detail d WHERE d.parent_task_run_id = t.id)
LIMIT :limit

-- name: overdue
-- Runs that are being cancelled since before a moment and that nobody holds a lease on.
SELECT id, state_id FROM flow_run
WHERE state_type = 'CANCELLING' AND lease_expires_at IS NULL AND state_timestamp < :before
ORDER BY expected_start_time LIMIT :limit
