-- name: candidates
-- Runs as dispatch sees them, with where they belong.
SELECT r.id, r.work_pool_id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.state_name,
       r.lease_expires_at, r.key_id, d.concurrency_key, w.name AS worker, a.id AS agent_id, a.name AS agent
FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
LEFT JOIN worker w ON w.id = r.worker_id LEFT JOIN agent a ON a.id = r.worker_id
WHERE r.id IN :ids::uuid[]

-- name: ahead
-- Due runs of one queue and one run priority, in dispatch order, behind one place and before another; without those
-- whose deployment is paused, or whose deployment or concurrency key has no slot left.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.priority, r.key_id
FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.lease_expires_at IS NULL
  AND (r.due_at, r.id) > (:after, :after_id) AND (r.due_at, r.id) < (:before, :before_id)
  AND (e.id IS NULL OR NOT e.paused)
  AND (r.deployment_id IS NULL OR r.deployment_id NOT IN :full::uuid[])
  AND (r.key_id IS NULL OR e.key_limit IS NULL
       OR (r.key_id NOT IN :full_keys::uuid[]
           AND (SELECT count(*) FROM flow_run s WHERE s.holds_slot AND s.key_id = r.key_id) < e.key_limit))
ORDER BY r.due_at, r.id LIMIT :limit

-- name: bunches_ahead
-- How many of these there are by deployment and concurrency key, full or not; counted up to a limit of all together.
SELECT counted.deployment_id, counted.key_id, count(*) AS runs FROM (
    SELECT r.deployment_id, r.key_id, r.due_at FROM flow_run r LEFT JOIN deployment e ON e.id = r.deployment_id
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
      AND r.lease_expires_at IS NULL AND (r.due_at, r.id) < (:before, :before_id)
      AND (e.id IS NULL OR NOT e.paused)
    LIMIT :limit) AS counted
GROUP BY counted.deployment_id, counted.key_id ORDER BY min(counted.due_at)

-- name: last_word
-- The last log line of a run, of those that were received from an id on.
SELECT l.timestamp, l.name, l.message FROM log l
WHERE l.flow_run_id = :id AND l.id >= :from_id ORDER BY l.id DESC LIMIT 1

-- name: holders_of_pool
-- Some of the runs that have a slot, those that have been in their state for longest first.
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND r.work_pool_id = :id ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holders_of_queue
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND r.work_pool_id = :work_pool_id AND r.work_queue_id = :id
ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holders_of_deployment
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND r.deployment_id = :id ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holders_of_key
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND r.key_id = :id ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holders_of_launches
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND r.work_pool_id = :id AND r.state_type = 'PENDING' ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holders_of_shared
SELECT r.id, d.name, r.state_name, r.state_timestamp FROM deployment e JOIN flow_run r ON r.deployment_id = e.id
JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.holds_slot AND e.shared_limit_id = :id ORDER BY r.state_timestamp, r.id LIMIT :limit

-- name: holdings_of_pool
-- The runs that have a slot, by what tells how long they may go on.
SELECT r.deployment_id, r.work_queue_id, r.state_type, r.state_timestamp, r.total_run_time, r.expected_start_time
FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = :id LIMIT :limit

-- name: holdings_of_queue
SELECT r.deployment_id, r.work_queue_id, r.state_type, r.state_timestamp, r.total_run_time, r.expected_start_time
FROM flow_run r WHERE r.holds_slot AND r.work_pool_id = :work_pool_id AND r.work_queue_id = :id LIMIT :limit

-- name: holdings_of_shared
SELECT r.deployment_id, r.work_queue_id, r.state_type, r.state_timestamp, r.total_run_time, r.expected_start_time
FROM deployment e JOIN flow_run r ON r.deployment_id = e.id WHERE r.holds_slot AND e.shared_limit_id = :id LIMIT :limit

-- name: holdings_of_deployment
SELECT r.deployment_id, r.work_queue_id, r.state_type, r.state_timestamp, r.total_run_time, r.expected_start_time
FROM flow_run r WHERE r.holds_slot AND r.deployment_id = :id LIMIT :limit

-- name: holdings_of_key
SELECT r.deployment_id, r.work_queue_id, r.state_type, r.state_timestamp, r.total_run_time, r.expected_start_time
FROM flow_run r WHERE r.holds_slot AND r.key_id = :id LIMIT :limit

-- name: durations
-- How long the last runs of a deployment were Running that were to start before a moment and ended by themselves; no more
-- than 200 of all its runs are looked at.
SELECT seen.total_run_time FROM (
    SELECT r.state_type, r.total_run_time, r.expected_start_time, r.id FROM flow_run r
    WHERE r.deployment_id = :deployment_id AND r.expected_start_time <= :before
    ORDER BY r.expected_start_time DESC LIMIT 200) AS seen
WHERE seen.state_type IN ('COMPLETED', 'FAILED') AND seen.total_run_time > 0
ORDER BY seen.expected_start_time DESC, seen.id LIMIT :limit

-- name: workers
-- The workers of pools, the last alive first, with how many runs each has.
SELECT w.work_pool_id, w.name, w.last_heartbeat_time, w.heartbeat_interval_seconds,
       w.drain_requested,
       (SELECT count(*) FROM flow_run r WHERE r.worker_id = w.id AND r.lease_expires_at IS NOT NULL) AS runs
FROM worker w WHERE w.work_pool_id IN :pool_ids::uuid[] ORDER BY w.last_heartbeat_time DESC, w.name

-- name: agents
-- Agents that poll a pool, or that name none, the last alive first, with how many runs each has.
SELECT a.id, a.name, a.work_pool_name, a.work_queue_names, a.work_queue_prefix, a.last_heartbeat_time,
       a.heartbeat_interval_seconds, a.drain_requested,
       (SELECT count(*) FROM flow_run r WHERE r.worker_id = a.id AND r.lease_expires_at IS NOT NULL) AS runs
FROM agent a WHERE a.work_pool_name = :pool OR a.work_pool_name IS NULL
ORDER BY a.last_heartbeat_time DESC, a.id LIMIT 200

-- name: count_due
-- How many runs of a queue are due and held by nobody, and how many of them are Late; counted up to a limit.
SELECT count(*) AS due, coalesce(sum(CASE WHEN state_name = 'Late' THEN 1 ELSE 0 END), 0) AS late FROM (
    SELECT r.state_name FROM flow_run r
    WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.due_at <= :now
      AND r.lease_expires_at IS NULL
    LIMIT :limit) AS counted
