-- name: queues
-- A pool's lanes with the slots that each has taken, and those of the pool.
SELECT q.id, q.name, q.priority, q.is_paused, q.concurrency_limit, q.last_polled,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = :work_pool_id) AS pool_used,
       (SELECT count(*) FROM flow_run r
        WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id) AS used
FROM work_queue q WHERE q.work_pool_id = :work_pool_id ORDER BY q.priority

-- name: saturable
-- Limited deployments that have slots taken: how many, of how many.
SELECT e.id, e.concurrency_limit, count(*) AS used
FROM flow_run r JOIN deployment e ON e.id = r.deployment_id
WHERE r.holds_slot AND e.concurrency_limit IS NOT NULL
GROUP BY e.id, e.concurrency_limit

-- name: priorities
-- The run priorities that wait in a queue, by jumps along the index: its cost is their number, not the backlog's.
WITH RECURSIVE ranks(priority) AS (
    SELECT max(priority) FROM flow_run WHERE work_queue_id = :work_queue_id AND state_type = 'SCHEDULED'
    UNION ALL
    SELECT (SELECT max(r.priority) FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority < ranks.priority)
    FROM ranks WHERE ranks.priority IS NOT NULL
)
SELECT priority FROM ranks WHERE priority IS NOT NULL

-- name: candidates
-- Due runs of one queue and one run priority, without those whose deployment is paused, or whose deployment or concurrency
-- key has no slot left.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id NOT IN :full::uuid[])
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id NOT IN :full_keys::uuid[]
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit

-- name: candidates [postgresql]
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id <> ALL(:full::uuid[]))
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id <> ALL(:full_keys::uuid[])
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: next_due
-- When the next run of a pool falls due after a moment.
SELECT min(r.due_at) FROM work_queue q JOIN flow_run r ON r.work_queue_id = q.id
WHERE q.work_pool_id = :work_pool_id AND r.state_type = 'SCHEDULED' AND r.due_at > :after AND r.lease_expires_at IS NULL

-- name: renew
-- A holder is alive: it keeps the run while the fence is its own.
UPDATE flow_run SET lease_expires_at = :expires_at
WHERE id = :flow_run_id AND fence = :fence AND lease_expires_at IS NOT NULL

-- name: held
-- Which of these leases still stand, and whether the run is to be stopped.
SELECT id, fence, state_type, state_name FROM flow_run WHERE id IN :ids::uuid[] AND lease_expires_at IS NOT NULL

-- name: to_attend
-- Runs held by a worker that it has to stop, or to find again.
SELECT r.id, r.state_type, r.fence, r.lease_expires_at, d.name, d.infrastructure_trace
FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.worker_id = :worker_id AND r.lease_expires_at IS NOT NULL
  AND (r.state_type = 'CANCELLING' OR r.state_name = 'Lost?')

-- name: lapsed
-- Runs whose holder has not renewed its lease.
SELECT r.id, r.state_type, r.state_name, r.state_timestamp, r.fence, r.work_pool_id, r.worker_id, d.infrastructure_trace
FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.lease_expires_at < :now ORDER BY r.lease_expires_at LIMIT :limit

-- name: hand_over
-- Another worker is to stop a run, in place of the one that went silent.
UPDATE flow_run SET worker_id = :worker_id, lease_expires_at = :expires_at
WHERE id = :id AND fence = :fence AND state_type = 'CANCELLING' AND lease_expires_at < :now

-- name: limits
-- Pools, queues and deployments that have a limit, with the slots that each has taken.
SELECT p.id, 1 AS place, p.concurrency_limit, FALSE AS cancels_new,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = p.id) AS used
FROM work_pool p WHERE p.id IN :pool_ids::uuid[] AND p.concurrency_limit IS NOT NULL
UNION ALL
SELECT q.id, 2, q.concurrency_limit, FALSE,
       (SELECT count(*) FROM flow_run r
        WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id)
FROM work_queue q WHERE q.id IN :queue_ids::uuid[] AND q.concurrency_limit IS NOT NULL
UNION ALL
SELECT e.id, 3, e.concurrency_limit, e.cancels_new,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.deployment_id = e.id)
FROM deployment e WHERE e.id IN :deployment_ids::uuid[] AND e.concurrency_limit IS NOT NULL

-- name: hold_slots
-- Be alone, until the transaction ends, with the slots of deployments, whose runs may wait in several pools. Everybody
-- who waits here holds its pools already, and takes deployments in one order. SQLite's one writer is alone anyway.
SELECT id FROM deployment WHERE id IN :ids::uuid[]

-- name: hold_slots [postgresql]
SELECT e.id, pg_advisory_xact_lock(hashtextextended(CAST(e.id AS text), 0)) IS NULL AS held
FROM (SELECT id FROM deployment WHERE id = ANY(:ids::uuid[]) ORDER BY id) AS e

-- name: try_slots
-- The same without waiting: deployments with whose slots somebody else is busy are left out.
SELECT id FROM deployment WHERE id IN :ids::uuid[]

-- name: try_slots [postgresql]
SELECT e.id FROM (SELECT id FROM deployment WHERE id = ANY(:ids::uuid[]) ORDER BY id) AS e
WHERE pg_try_advisory_xact_lock(hashtextextended(CAST(e.id AS text), 0))

-- name: deployment_used
-- Slots taken of deployments.
SELECT deployment_id AS id, count(*) AS used FROM flow_run
WHERE holds_slot AND deployment_id IN :ids::uuid[] GROUP BY deployment_id

-- name: keys_used
-- Slots taken of concurrency keys.
SELECT key_id AS id, count(*) AS used FROM flow_run
WHERE holds_slot AND key_id IN :ids::uuid[] GROUP BY key_id

-- name: key_limits
-- Deployments whose runs have concurrency keys: how many of a key may be in progress, and what becomes of further ones.
SELECT id, key_limit, key_strategy FROM deployment WHERE id IN :ids::uuid[] AND key_limit IS NOT NULL

-- name: unqueued
-- Deployments that let no run wait for a slot, with the slots taken of each.
SELECT e.id, e.concurrency_limit,
       (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.deployment_id = e.id) AS used
FROM deployment e WHERE e.cancels_new AND NOT e.paused

-- name: colliding
-- Due new runs of a deployment beyond its free slots, where nothing is paused. A free slot is the first's by (priority,
-- due time, id), even while something else, such as a full pool, keeps that run waiting.
SELECT r.id, r.state_name FROM flow_run r
LEFT JOIN work_queue q ON q.id = r.work_queue_id
LEFT JOIN work_pool p ON p.id = r.work_pool_id
WHERE r.deployment_id = :deployment_id AND r.state_type = 'SCHEDULED' AND r.due_at <= :now
  AND r.lease_expires_at IS NULL AND r.run_count = 0
  AND NOT COALESCE(q.is_paused, FALSE) AND NOT COALESCE(p.is_paused, FALSE)
ORDER BY r.priority DESC, r.due_at, r.id LIMIT :limit OFFSET :free
