-- name: insert
INSERT INTO work_queue (id, created, updated, work_pool_id, name, description, is_paused, concurrency_limit,
                        priority, filter, last_polled, pause)
VALUES (:id, :created, :updated, :work_pool_id, :name, :description, :is_paused, :concurrency_limit,
        :priority, :filter::json, NULL, :pause)
ON CONFLICT (work_pool_id, name) DO NOTHING

-- name: select
-- Queues with their pool's name and the slots in use; a condition on q follows.
SELECT q.id, q.created, q.updated, q.work_pool_id, q.name, q.description, q.is_paused, q.concurrency_limit,
       q.priority, q.filter, q.last_polled, q.pause, p.name AS work_pool_name,
       (SELECT count(*) FROM flow_run r
        WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id) AS active_slots
FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id

-- name: names
-- The queues of pools.
SELECT id, name FROM work_queue WHERE work_pool_id IN :pool_ids::uuid[] ORDER BY priority, id

-- name: update
UPDATE work_queue
SET updated = :updated, name = :name, description = :description, is_paused = :is_paused,
    concurrency_limit = :concurrency_limit, filter = :filter::json, last_polled = :last_polled,
    pause = :pause
WHERE id = :id

-- name: rank
-- One queue's priority.
UPDATE work_queue SET updated = :updated, priority = :priority WHERE id = :id

-- name: touch
-- Queues were polled. Written at most every few seconds per queue, so that polls stay reads.
UPDATE work_queue SET last_polled = :now
WHERE id IN :ids::uuid[] AND (last_polled IS NULL OR last_polled < :stale::timestamptz)

-- name: late_count
SELECT count(*) FROM flow_run WHERE work_queue_id = :id AND state_type = 'SCHEDULED' AND state_name = 'Late'

-- name: delete
DELETE FROM work_queue WHERE id = :id

-- name: move_runs
-- Waiting runs of a queue that goes, to another; and those under way, which may have to wait again.
UPDATE flow_run SET work_queue_id = :to, belated = TRUE
WHERE (work_queue_id = :from AND state_type = 'SCHEDULED')
   OR (holds_slot AND work_pool_id = :pool AND work_queue_id = :from)

-- name: move_deployments
UPDATE deployment SET work_queue_id = :to, work_queue_name = :name WHERE work_queue_id = :from
