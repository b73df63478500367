-- name: first_due
-- The due time of the first run that waits in a queue under a run priority, from a time on, whoever holds it.
SELECT r.due_at FROM flow_run r
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority AND r.due_at >= :since
ORDER BY r.due_at LIMIT 1

-- name: passed
-- How many entries of that index this session's statements have gone through, dead ones among them, since it told last.
SELECT 0

-- name: passed [postgresql]
SELECT pg_stat_get_xact_tuples_returned(CAST('ix_flow_run_ready' AS regclass))

-- name: belated
-- Due runs of one queue and one run priority before a time, that began to wait when they had been due already; without those
-- whose deployment is paused, or whose deployment or concurrency key has no slot left. The state is asked for so that no other
-- index serves.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND COALESCE(r.state_type, '') = 'SCHEDULED' AND r.belated AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.due_at < :before AND r.lease_expires_at IS NULL
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id NOT IN :full::uuid[])
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id NOT IN :full_keys::uuid[]
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit

-- name: belated [postgresql]
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id, e.concurrency_limit, e.key_limit, e.paused,
       e.shared_limit_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND COALESCE(r.state_type, '') = 'SCHEDULED' AND r.belated AND r.priority = :priority
  AND r.due_at >= :since AND r.due_at <= :until AND r.due_at < :before AND r.lease_expires_at IS NULL
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id <> ALL(:full::uuid[]))
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id <> ALL(:full_keys::uuid[])
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: priorities_between
-- The highest run priority that waits in a queue between two others, for several pairs of these, ends not included.
SELECT (SELECT max(r.priority) FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
          AND r.priority > low.value AND r.priority < high.value) AS priority
FROM json_each(:lows) AS low JOIN json_each(:highs) AS high ON high.key = low.key

-- name: priorities_between [postgresql]
SELECT (SELECT max(r.priority) FROM flow_run r
        WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED'
          AND r.priority > gap.low AND r.priority < gap.high) AS priority
FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS gap(low, high)

-- name: next_due
-- When the next run of a queue and a run priority falls due after a moment.
SELECT r.due_at FROM flow_run r
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority AND r.due_at > :after
  AND r.lease_expires_at IS NULL
ORDER BY r.due_at LIMIT 1
