-- name: waiting
-- Runs of one queue and one run priority that wait and fall due until a moment, held by nobody; by due time.
SELECT r.id, r.work_queue_id, r.due_at, r.deployment_id, r.schedule_id FROM flow_run r
WHERE r.work_queue_id = :work_queue_id AND r.state_type = 'SCHEDULED' AND r.priority = :priority
  AND r.due_at <= :until AND r.lease_expires_at IS NULL
ORDER BY r.due_at, r.id LIMIT :limit

-- name: plans
-- What the scheduler makes runs of, for the deployments of queues.
SELECT s.id AS schedule_id, s.deployment_id, e.flow_id, e.work_queue_id, s.schedule, s.parameters,
       e.parameters AS deployment_parameters
FROM deployment e JOIN deployment_schedule s ON s.deployment_id = e.id
WHERE e.work_queue_id IN :queue_ids::uuid[] AND s.active AND NOT e.paused
