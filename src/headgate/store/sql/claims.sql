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

-- name: due_behind
-- When the run behind the first ones of a queue and a run priority falls due, read from the index alone.
SELECT r.due_at FROM flow_run r
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until
ORDER BY r.due_at, r.id LIMIT 1 OFFSET :runs

-- name: due
-- How many runs of one queue and one run priority fall due in a span of time, no further than told; read from the index alone.
SELECT count(*) FROM (
    SELECT 1 FROM flow_run r
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
      AND r.due_at >= :since AND r.due_at <= :until
    LIMIT :runs) AS seen

-- name: open_lanes
-- What of one queue and one run priority is due by (deployment, concurrency key; null: without one) and may start: those
-- whose first run is among the first, with the slots that a key has left. Last, how many deployments and keys were gone
-- through; where that is more than `most`, nothing else. They are found by jumps along an index, deployments first and then
-- the keys of each, so that the cost is their number, not the backlog's.
WITH RECURSIVE owners(id) AS (
    SELECT (SELECT r.deployment_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id IS NOT NULL
            ORDER BY r.deployment_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.deployment_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id > owners.id
            ORDER BY r.deployment_id LIMIT 1)
    FROM owners WHERE owners.id IS NOT NULL
    LIMIT :most + 2
), opened AS MATERIALIZED (
    SELECT owners.id, e.key_limit FROM owners LEFT JOIN deployment e ON e.id = owners.id
    WHERE owners.id IS NOT NULL AND (e.id IS NULL OR NOT e.paused) AND NOT (owners.id IN :full::uuid[])
), lanes(deployment_id, key_limit, key_id) AS (
    SELECT opened.id, opened.key_limit,
           (SELECT r.key_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id = opened.id AND r.key_id > ''
            ORDER BY r.key_id LIMIT 1)
    FROM opened
    UNION ALL
    SELECT lanes.deployment_id, lanes.key_limit,
           (SELECT r.key_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id = lanes.deployment_id AND r.key_id > lanes.key_id
            ORDER BY r.key_id LIMIT 1)
    FROM lanes WHERE lanes.key_id IS NOT NULL
    LIMIT :most + 1
), walked AS MATERIALIZED (
    SELECT lanes.deployment_id, lanes.key_limit, lanes.key_id FROM lanes
), passed(number) AS MATERIALIZED (
    SELECT (SELECT count(owners.id) FROM owners) + (SELECT count(walked.key_id) FROM walked)
), free AS (
    SELECT walked.deployment_id, walked.key_id,
           CASE WHEN walked.key_id IS NULL THEN NULL
                WHEN walked.key_id IN :full_keys::uuid[] AND walked.key_limit IS NOT NULL THEN 0
                ELSE walked.key_limit - (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = walked.key_id)
           END AS key_free
    FROM passed CROSS JOIN walked WHERE passed.number <= :most
    UNION ALL
    SELECT NULL, NULL, NULL FROM passed WHERE passed.number <= :most
)
SELECT * FROM (
    SELECT h.deployment_id, h.key_id, free.key_free, 0 AS number
    FROM free CROSS JOIN flow_run h ON h.rowid = (
        SELECT r.rowid FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS free.deployment_id AND r.key_id IS free.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.due_at, r.id LIMIT 1)
    WHERE free.key_free IS NULL OR free.key_free > 0
    ORDER BY h.due_at, h.id LIMIT :limit)
UNION ALL
SELECT NULL, NULL, NULL, passed.number FROM passed

-- name: open_lanes [postgresql]
-- A step to the next key finds its first run as well. That one is only sought again where somebody holds it, or where it is
-- due before the span. The nulls' places are those of the index, so that no other one gives this order.
WITH RECURSIVE owners(id) AS (
    SELECT (SELECT r.deployment_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id IS NOT NULL
            ORDER BY r.deployment_id NULLS FIRST LIMIT 1)
    UNION ALL
    SELECT (SELECT r.deployment_id FROM flow_run r
            WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
              AND r.deployment_id > owners.id
            ORDER BY r.deployment_id NULLS FIRST LIMIT 1)
    FROM owners WHERE owners.id IS NOT NULL
), found AS MATERIALIZED (
    SELECT owners.id FROM owners WHERE owners.id IS NOT NULL LIMIT :most + 1
), opened AS MATERIALIZED (
    SELECT found.id, e.key_limit FROM found LEFT JOIN deployment e ON e.id = found.id
    WHERE (e.id IS NULL OR NOT e.paused) AND NOT (found.id = ANY(:full::uuid[]))
), lanes(deployment_id, key_limit, key_id, due_at, id, lease_expires_at) AS (
    SELECT opened.id, opened.key_limit, h.key_id, h.due_at, h.id, h.lease_expires_at
    FROM opened CROSS JOIN LATERAL (
        SELECT r.key_id, r.due_at, r.id, r.lease_expires_at FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = opened.id AND r.key_id > CAST('00000000-0000-0000-0000-000000000000' AS uuid)
        ORDER BY r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1) AS h
    UNION ALL
    SELECT lanes.deployment_id, lanes.key_limit, h.key_id, h.due_at, h.id, h.lease_expires_at
    FROM lanes CROSS JOIN LATERAL (
        SELECT r.key_id, r.due_at, r.id, r.lease_expires_at FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = lanes.deployment_id AND r.key_id > lanes.key_id
        ORDER BY r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1) AS h
), walked AS MATERIALIZED (
    SELECT * FROM lanes LIMIT :most + 1
), passed(number) AS MATERIALIZED (
    SELECT (SELECT count(*) FROM found) + (SELECT count(*) FROM walked)
), free AS MATERIALIZED (
    SELECT w.deployment_id, w.key_id, w.key_free, w.due_at, w.id,
           w.lease_expires_at IS NULL AND w.due_at >= :since AND w.due_at <= :until AS is_first
    FROM (SELECT walked.*,
                 CASE WHEN walked.key_id = ANY(:full_keys::uuid[]) AND walked.key_limit IS NOT NULL THEN 0
                      ELSE walked.key_limit
                           - (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = walked.key_id)
                 END AS key_free
          FROM walked WHERE (SELECT passed.number FROM passed) <= :most AND walked.due_at <= :until) AS w
    WHERE w.key_free IS NULL OR w.key_free > 0
), firsts AS (
    SELECT free.deployment_id, free.key_id, free.key_free, free.due_at, free.id FROM free WHERE free.is_first
    UNION ALL
    SELECT free.deployment_id, free.key_id, free.key_free, h.due_at, h.id
    FROM free CROSS JOIN LATERAL (
        SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = free.deployment_id AND r.key_id = free.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1) AS h
    WHERE NOT free.is_first
    UNION ALL
    SELECT opened.id, NULL, NULL, h.due_at, h.id
    FROM opened CROSS JOIN LATERAL (
        SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = opened.id AND r.key_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1) AS h
    WHERE (SELECT passed.number FROM passed) <= :most
    UNION ALL
    SELECT NULL, NULL, NULL, h.due_at, h.id
    FROM (SELECT r.due_at, r.id FROM flow_run r
          WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
            AND r.deployment_id IS NULL AND r.key_id IS NULL
            AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
          ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id LIMIT 1) AS h
    WHERE (SELECT passed.number FROM passed) <= :most
)
(SELECT firsts.deployment_id, firsts.key_id, firsts.key_free, 0 AS number
 FROM firsts ORDER BY firsts.due_at, firsts.id LIMIT :limit)
UNION ALL
SELECT NULL, NULL, NULL, passed.number FROM passed

-- name: candidates_of_lanes
-- The first due runs of one queue and one run priority, of these `lanes` (a deployment, a concurrency key or null, `most`),
-- and of each no more than its `most`, or little more: SQLite takes no limit that differs from row to row.
SELECT f.id, f.work_queue_id, f.due_at, f.deployment_id, f.priority, f.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM (SELECT json_extract(j.value, '$[0]') AS deployment_id, json_extract(j.value, '$[1]') AS key_id,
             json_extract(j.value, '$[2]') AS most
      FROM json_each(:lanes::json) j) AS l
CROSS JOIN flow_run f ON f.id IN (
        SELECT * FROM (
            SELECT r.id FROM flow_run r
            WHERE l.most = 1 AND r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
              AND r.priority = :priority AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
              AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
            ORDER BY r.due_at, r.id LIMIT min(1, :limit))
        UNION ALL
        SELECT * FROM (
            SELECT r.id FROM flow_run r
            WHERE l.most BETWEEN 2 AND 4 AND r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
              AND r.priority = :priority AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
              AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
            ORDER BY r.due_at, r.id LIMIT min(4, :limit))
        UNION ALL
        SELECT * FROM (
            SELECT r.id FROM flow_run r
            WHERE l.most BETWEEN 5 AND 32 AND r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
              AND r.priority = :priority AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
              AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
            ORDER BY r.due_at, r.id LIMIT min(32, :limit))
        UNION ALL
        SELECT * FROM (
            SELECT r.id FROM flow_run r
            WHERE l.most > 32 AND r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
              AND r.priority = :priority AND r.deployment_id IS l.deployment_id AND r.key_id IS l.key_id
              AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
            ORDER BY r.due_at, r.id LIMIT :limit))
LEFT JOIN deployment e ON e.id = f.deployment_id
ORDER BY f.due_at, f.id LIMIT :limit

-- name: candidates_of_lanes [postgresql]
-- The last conditions, for runs that moved on since, are worded so that no index begins with them: the runs are fetched by
-- their ids. What is found is found once: without the word for it, it may be sought anew for every run that waits.
WITH l AS MATERIALIZED (
    SELECT CAST(j.value ->> 0 AS uuid) AS deployment_id, CAST(j.value ->> 1 AS uuid) AS key_id,
           CAST(j.value ->> 2 AS integer) AS most
    FROM json_array_elements(:lanes::json) AS j(value)
), found AS MATERIALIZED (
    SELECT f.id FROM l CROSS JOIN LATERAL (
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = l.deployment_id AND r.key_id = l.key_id
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, l.most))
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id = l.deployment_id AND r.key_id IS NULL AND l.key_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, l.most))
        UNION ALL
       (SELECT r.due_at, r.id FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
          AND r.deployment_id IS NULL AND r.key_id IS NULL AND l.deployment_id IS NULL
          AND r.due_at >= :since AND r.due_at <= :until AND r.lease_expires_at IS NULL
        ORDER BY r.deployment_id NULLS FIRST, r.key_id NULLS FIRST, r.due_at NULLS FIRST, r.id
        LIMIT LEAST(:limit, l.most))
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
