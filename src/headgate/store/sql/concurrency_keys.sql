-- name: colliding
-- Keys of deployments that let no further runs wait for their turn, and that have due runs which may have to give way.
SELECT found.key_id, found.key_limit, found.key_strategy,
       (SELECT d.concurrency_key FROM flow_run w JOIN flow_run_detail d ON d.flow_run_id = w.id
        WHERE w.key_id = found.key_id AND w.state_type = 'SCHEDULED' LIMIT 1) AS text
FROM (
    SELECT r.key_id, e.key_limit, e.key_strategy, count(*) AS due
    FROM deployment e JOIN flow_run r ON r.deployment_id = e.id
    LEFT JOIN work_queue q ON q.id = r.work_queue_id
    LEFT JOIN work_pool p ON p.id = r.work_pool_id
    WHERE e.key_strategy IS NOT NULL AND NOT e.paused AND r.state_type = 'SCHEDULED' AND r.due_at <= :now
      AND r.key_id > :after_id AND r.lease_expires_at IS NULL
      AND NOT COALESCE(q.is_paused, FALSE) AND NOT COALESCE(p.is_paused, FALSE)
    GROUP BY r.key_id, e.key_limit, e.key_strategy) AS found
WHERE CASE WHEN found.key_strategy = 'REPLACE_QUEUED' THEN found.due > 1
           ELSE found.due + (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = found.key_id)
                > found.key_limit END
ORDER BY found.key_id LIMIT :limit

-- name: colliding_of
-- The same of some keys, whether or not any of their runs has to give way.
SELECT DISTINCT r.key_id, e.key_limit, e.key_strategy, d.concurrency_key AS text
FROM flow_run r JOIN deployment e ON e.id = r.deployment_id JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.key_id IN :ids::uuid[] AND r.state_type = 'SCHEDULED' AND r.due_at <= :now AND r.key_id > :after_id
  AND e.key_strategy IS NOT NULL AND NOT e.paused
ORDER BY r.key_id LIMIT :limit

-- name: contenders
-- Runs of keys that are due, where nothing is paused, or in progress.
SELECT r.id, r.key_id, r.state_type, r.state_name, COALESCE(r.expected_start_time, r.created) AS since, r.due_at, r.priority,
       r.holds_slot, r.run_count
FROM flow_run r
LEFT JOIN work_queue q ON q.id = r.work_queue_id
LEFT JOIN work_pool p ON p.id = r.work_pool_id
WHERE r.key_id IN :ids::uuid[] AND r.state_type = 'SCHEDULED' AND r.due_at <= :now AND NOT r.holds_slot
  AND r.lease_expires_at IS NULL
  AND NOT COALESCE(q.is_paused, FALSE) AND NOT COALESCE(p.is_paused, FALSE)
UNION ALL
SELECT r.id, r.key_id, r.state_type, r.state_name, COALESCE(r.expected_start_time, r.created), r.due_at, r.priority,
       r.holds_slot, r.run_count
FROM flow_run r WHERE r.key_id IN :ids::uuid[] AND r.holds_slot

-- name: pools
-- Where runs of deployments, of those that share limits and of concurrency keys wait: the pools of the deployments, to which
-- their waiting runs follow them, and those of some waiting runs of the keys.
SELECT q.work_pool_id FROM deployment e JOIN work_queue q ON q.id = e.work_queue_id WHERE e.id IN :deployment_ids::uuid[]
UNION
SELECT q.work_pool_id FROM deployment e JOIN work_queue q ON q.id = e.work_queue_id
WHERE e.shared_limit_id IN :shared_ids::uuid[]
UNION
SELECT work_pool_id FROM (
    SELECT work_pool_id FROM flow_run
    WHERE key_id IN :key_ids::uuid[] AND state_type = 'SCHEDULED' AND work_pool_id IS NOT NULL LIMIT 50) AS waiting
