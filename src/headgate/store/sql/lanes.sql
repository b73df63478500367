-- name: pools
-- Pools as dispatch sees them, with the slots that each has taken.
SELECT p.id, p.name, p.type, p.is_paused, p.pause, p.concurrency_limit, p.launch_rate, p.launches,
       p.launch_limit, p.fair_share, p.turns,
       CASE WHEN p.launch_limit IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r
                  WHERE r.holds_slot AND r.work_pool_id = p.id AND r.state_type = 'PENDING') END AS launching,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = p.id) AS used
FROM work_pool p WHERE p.id IN :ids::uuid[]

-- name: queues
-- All queues of pools.
SELECT q.id, q.work_pool_id, q.name, q.priority, q.is_paused, q.pause, q.concurrency_limit, q.last_polled,
       (SELECT count(*) FROM flow_run r
        WHERE r.holds_slot AND r.work_pool_id = q.work_pool_id AND r.work_queue_id = q.id) AS used
FROM work_queue q WHERE q.work_pool_id IN :pool_ids::uuid[] ORDER BY q.priority, q.id

-- name: deployments
SELECT e.id, e.name, e.flow_id, f.name AS flow_name, e.paused, e.pause, e.concurrency_limit, e.last_polled,
       e.shared_limit_id,
       CASE WHEN e.concurrency_limit IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.deployment_id = e.id) END AS used
FROM deployment e JOIN flow f ON f.id = e.flow_id WHERE e.id IN :ids::uuid[]
