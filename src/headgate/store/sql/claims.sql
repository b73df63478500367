-- name: queues
-- Lanes of a pool, of any name or of these, with the slots that each has taken, and those of the pool. They are counted where
-- there is a limit to them: a claim's cost is not to grow with what runs in a pool, or has run while somebody's transaction
-- kept dead rows. `waiting` are the run priorities that wait there, as of `priorities`; of what is paused, and of those that
-- are to be passed over, it is null.
SELECT q.id, q.name, q.priority, q.is_paused, q.concurrency_limit, q.last_polled,
       CASE WHEN (SELECT p.concurrency_limit FROM work_pool p WHERE p.id = :work_pool_id) IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = :work_pool_id) END AS pool_used,
       CASE WHEN q.concurrency_limit IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r
                  WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id) END AS used,
       CASE WHEN q.is_paused OR q.id IN :passing::uuid[] THEN NULL ELSE
           (WITH RECURSIVE ranks(priority) AS (
                SELECT max(r.priority) FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED'
                UNION ALL
                SELECT (SELECT max(r.priority) FROM flow_run r
                        WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.priority < ranks.priority)
                FROM ranks WHERE ranks.priority IS NOT NULL)
            SELECT COALESCE(group_concat(ranks.priority), '') FROM ranks WHERE ranks.priority IS NOT NULL) END AS waiting
FROM work_queue q
WHERE q.work_pool_id = :work_pool_id AND (:any_name::boolean OR q.name IN :names::text[])
  AND substr(q.name, 1, length(:prefix::text)) = :prefix::text
ORDER BY q.priority

-- name: queues [postgresql]
SELECT q.id, q.name, q.priority, q.is_paused, q.concurrency_limit, q.last_polled,
       CASE WHEN (SELECT p.concurrency_limit FROM work_pool p WHERE p.id = :work_pool_id) IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = :work_pool_id) END AS pool_used,
       CASE WHEN q.concurrency_limit IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r
                  WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id) END AS used,
       CASE WHEN q.is_paused OR q.id = ANY(:passing::uuid[]) THEN NULL ELSE
           (WITH RECURSIVE ranks(priority) AS (
                SELECT max(r.priority) FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED'
                UNION ALL
                SELECT (SELECT max(r.priority) FROM flow_run r
                        WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.priority < ranks.priority)
                FROM ranks WHERE ranks.priority IS NOT NULL)
            SELECT COALESCE(string_agg(CAST(ranks.priority AS text), ','), '')
            FROM ranks WHERE ranks.priority IS NOT NULL) END AS waiting
FROM work_queue q
WHERE q.work_pool_id = :work_pool_id AND (:any_name::boolean OR q.name = ANY(:names::text[]))
  AND substr(q.name, 1, length(:prefix::text)) = :prefix::text
ORDER BY q.priority

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

-- name: first_candidates
-- The first due runs of one queue and one run priority, with what may block them: no further ones are looked at.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
ORDER BY r.due_at, r.id LIMIT :limit

-- name: first_candidates [postgresql]
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
ORDER BY r.due_at, r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: candidates
-- Due runs of one queue and one run priority, without those whose deployment is paused, or whose deployment or concurrency
-- key has no slot left.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
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
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id <> ALL(:full::uuid[]))
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id <> ALL(:full_keys::uuid[])
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: open_lanes
-- What of one queue and one run priority waits by (deployment, concurrency key), without paused and full deployments: found
-- by jumps along an index, from one to the next, so that the cost is their number, not the backlog's.
WITH RECURSIVE steps(id, number) AS (
    SELECT (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id IS NOT NULL
            ORDER BY r.deployment_id, r.key_id LIMIT 1), 1
    UNION ALL
    SELECT COALESCE(
        CASE WHEN e.paused OR c.deployment_id IN :full::uuid[] THEN NULL ELSE
           (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id = c.deployment_id
              AND r.key_id > COALESCE(c.key_id, CAST('00000000-0000-0000-0000-000000000000' AS text))
            ORDER BY r.key_id LIMIT 1) END,
           (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id > c.deployment_id
            ORDER BY r.deployment_id, r.key_id LIMIT 1)), steps.number + 1
    FROM steps JOIN flow_run c ON c.id = steps.id LEFT JOIN deployment e ON e.id = c.deployment_id
    WHERE steps.number <= :most
)
SELECT c.deployment_id, c.key_id, steps.number,
       CASE WHEN c.key_id IN :full_keys::uuid[] AND e.key_limit IS NOT NULL THEN 0
            ELSE e.key_limit - (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = c.key_id) END AS key_free
FROM steps JOIN flow_run c ON c.id = steps.id LEFT JOIN deployment e ON e.id = c.deployment_id
WHERE steps.number > :most OR ((e.id IS NULL OR NOT e.paused) AND NOT (c.deployment_id IN :full::uuid[]))

-- name: open_lanes [postgresql]
WITH RECURSIVE steps(id, number) AS (
    SELECT (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id IS NOT NULL
            ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST LIMIT 1), 1
    UNION ALL
    SELECT COALESCE(
        CASE WHEN e.paused OR c.deployment_id = ANY(:full::uuid[]) THEN NULL ELSE
           (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id = c.deployment_id
              AND r.key_id > COALESCE(c.key_id, CAST('00000000-0000-0000-0000-000000000000' AS uuid))
            ORDER BY r.key_id NULLS FIRST LIMIT 1) END,
           (SELECT r.id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id > c.deployment_id
            ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST LIMIT 1)), steps.number + 1
    FROM steps JOIN flow_run c ON c.id = steps.id LEFT JOIN deployment e ON e.id = c.deployment_id
    WHERE steps.number <= :most
)
SELECT c.deployment_id, c.key_id, steps.number,
       CASE WHEN c.key_id = ANY(:full_keys::uuid[]) AND e.key_limit IS NOT NULL THEN 0
            ELSE e.key_limit - (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = c.key_id) END AS key_free
FROM steps JOIN flow_run c ON c.id = steps.id LEFT JOIN deployment e ON e.id = c.deployment_id
WHERE steps.number > :most OR ((e.id IS NULL OR NOT e.paused) AND NOT (c.deployment_id = ANY(:full::uuid[])))

-- name: candidates_of_lanes
-- Due runs of one queue and one run priority, of these pairs of a deployment and a concurrency key (null: without one): the
-- first runs of those pairs whose first run is among the first, and no more of each than `mosts` says (here: one, or all).
WITH heads AS (
    SELECT l.deployment_id, l.key_id, l.most, h.due_at, h.id
    FROM (SELECT d.value AS deployment_id, k.value AS key_id, m.value AS most
          FROM json_each(:deployment_ids) d JOIN json_each(:key_ids) k ON k.key = d.key
          JOIN json_each(:mosts) m ON m.key = d.key) AS l
    CROSS JOIN flow_run h ON h.id = (
        SELECT r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.due_at, r.id LIMIT 1)
    ORDER BY h.due_at, h.id LIMIT :limit
)
SELECT f.id, f.work_queue_id, f.due_at, f.deployment_id, f.priority, f.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM heads CROSS JOIN flow_run f ON f.id IN (
        SELECT heads.id WHERE heads.most = 1
        UNION ALL
        SELECT * FROM (
            SELECT r.id FROM flow_run r
            WHERE heads.most <> 1 AND r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
              AND r.priority = :priority AND r.deployment_id IS heads.deployment_id AND r.key_id IS heads.key_id
              AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
            ORDER BY r.due_at, r.id LIMIT :limit))
LEFT JOIN deployment e ON e.id = f.deployment_id
ORDER BY f.due_at, f.id LIMIT :limit

-- name: candidates_of_lanes [postgresql]
-- The nulls' places are those of the index, so that no other one gives this order. The last conditions, for runs that moved
-- on since, are worded so that no index begins with them: the runs are fetched by their ids. What is found is found once:
-- without the word for it, it may be sought anew for every run that waits.
WITH heads AS MATERIALIZED (
    SELECT l.deployment_id, l.key_id, l.most
    FROM unnest(CAST(:deployment_ids AS uuid[]), CAST(:key_ids AS uuid[]), CAST(:mosts AS integer[]))
        AS l(deployment_id, key_id, most)
    CROSS JOIN LATERAL (
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = l.deployment_id AND r.key_id = l.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1)
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = l.deployment_id AND r.key_id IS NULL AND l.key_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1)
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS NULL AND r.key_id IS NULL AND l.deployment_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1)
    ) AS h
    ORDER BY h.due_at, h.id LIMIT :limit
), found AS MATERIALIZED (
    SELECT f.id FROM heads CROSS JOIN LATERAL (
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = heads.deployment_id AND r.key_id = heads.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, heads.most))
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = heads.deployment_id AND r.key_id IS NULL AND heads.key_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, heads.most))
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS NULL AND r.key_id IS NULL AND heads.deployment_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, heads.most))
    ) AS f
)
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.id IN (SELECT id FROM found) AND r.state_type = 'SCHEDULED' AND r.lease_expires_at IS NULL
  AND r.work_queue_id IS NOT DISTINCT FROM :work_queue_id::uuid AND r.priority IS NOT DISTINCT FROM :priority::integer
  AND r.due_at BETWEEN :since AND :until
ORDER BY r.due_at, r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: first_of_lanes
-- The first due runs, so many of each, of one queue and one run priority, of these pairs of a deployment and a concurrency
-- key (null: without one).
SELECT f.id
FROM (SELECT d.value AS deployment_id, k.value AS key_id
      FROM json_each(:deployment_ids) d JOIN json_each(:key_ids) k ON k.key = d.key) AS l
CROSS JOIN flow_run f ON f.id IN (
        SELECT r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.due_at, r.id LIMIT :each)

-- name: first_of_lanes [postgresql]
-- Worded as in `candidates_of_lanes`, and for the same reasons.
SELECT h.id
FROM unnest(CAST(:deployment_ids AS uuid[]), CAST(:key_ids AS uuid[])) AS l(deployment_id, key_id)
CROSS JOIN LATERAL (
   (SELECT r.due_at, r.id FROM flow_run r
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
      AND r.deployment_id = l.deployment_id AND r.key_id = l.key_id
      AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
    ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT :each)
    UNION ALL
   (SELECT r.due_at, r.id FROM flow_run r
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
      AND r.deployment_id = l.deployment_id AND r.key_id IS NULL AND l.key_id IS NULL
      AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
    ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT :each)
    UNION ALL
   (SELECT r.due_at, r.id FROM flow_run r
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
      AND r.deployment_id IS NULL AND r.key_id IS NULL AND l.deployment_id IS NULL
      AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
    ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT :each)
) AS h

-- name: candidates_of_ids
-- Those of these runs that still wait there, with what may block them: fetched by their ids, and by no index of what waits.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.id IN :ids::uuid[] AND +r.work_queue_id = :work_queue_id AND +r.state_type = 'SCHEDULED'
  AND +r.priority = :priority AND +r.due_at BETWEEN :since AND :until AND +r.lease_expires_at IS NULL
ORDER BY r.due_at, r.id

-- name: candidates_of_ids [postgresql]
-- The conditions are worded so that no index begins with them: the runs are fetched by their ids.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.id = ANY(:ids::uuid[]) AND r.state_type = 'SCHEDULED' AND r.lease_expires_at IS NULL
  AND r.work_queue_id IS NOT DISTINCT FROM :work_queue_id::uuid AND r.priority IS NOT DISTINCT FROM :priority::integer
  AND r.due_at BETWEEN :since AND :until
ORDER BY r.due_at, r.id FOR UPDATE OF r SKIP LOCKED

-- name: next_due
-- When the next run of a pool falls due after a moment.
SELECT min(r.due_at) FROM work_queue q JOIN flow_run r ON r.work_queue_id = q.id
WHERE q.work_pool_id = :work_pool_id AND r.state_type = 'SCHEDULED' AND r.due_at > :after AND r.lease_expires_at IS NULL

-- name: renew
-- A holder is alive: it keeps the run while the fence is its own. The last condition is worded so that the run is fetched by
-- its id, and not by an index of all that is held, or was while somebody's transaction kept dead rows.
UPDATE flow_run SET lease_expires_at = :expires_at
WHERE id = :flow_run_id AND fence = :fence AND (lease_expires_at IS NOT NULL) IS TRUE

-- name: held
-- Who holds these runs, if anybody, and whether they are to be stopped. That somebody does is no condition, as above.
SELECT id, fence, state_type, state_name, lease_expires_at FROM flow_run WHERE id IN :ids::uuid[]

-- name: to_attend
-- Runs of a worker that it has to stop, or to find again, where it holds them: by an index of these alone, as above.
SELECT r.id, r.state_type, r.fence, r.lease_expires_at, d.name, d.infrastructure_trace
FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.worker_id = :worker_id AND (r.state_type = 'CANCELLING' OR r.state_name = 'Lost?')

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
SELECT e.id, e.concurrency_limit, e.shared_limit_id,
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
