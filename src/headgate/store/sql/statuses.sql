-- name: pools
-- Pools that have a worker online, and are not paused.
SELECT p.id FROM work_pool p
WHERE NOT p.is_paused AND p.type <> :untyped::text AND :now <=
       (SELECT max(w.last_heartbeat_time + CAST(3000000 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30) AS integer))
        FROM worker w WHERE w.work_pool_id = p.id)

-- name: pools [postgresql]
SELECT p.id FROM work_pool p
WHERE NOT p.is_paused AND p.type <> :untyped::text AND :now::timestamptz <=
       (SELECT max(w.last_heartbeat_time + make_interval(secs => 3 * COALESCE(NULLIF(w.heartbeat_interval_seconds, 0), 30)))
        FROM worker w WHERE w.work_pool_id = p.id)

-- name: queues
-- Queues that were polled lately, and are not paused.
SELECT id FROM work_queue WHERE NOT is_paused AND last_polled >= :polled::timestamptz

-- name: deployments
-- Deployments that were polled lately themselves, or by their queue.
SELECT e.id FROM deployment e LEFT JOIN work_queue q ON q.id = e.work_queue_id
WHERE e.last_polled >= :polled::timestamptz OR q.last_polled >= :polled::timestamptz

-- name: told
-- The last events, of these names, of resources that were told lately.
SELECT v.resource_id, v.event FROM event v
WHERE v.occurred >= :since AND v.resource_id IN :resources::text[] AND v.event IN :events::text[]
ORDER BY v.occurred, v.id
