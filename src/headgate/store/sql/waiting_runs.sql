-- name: waiting_of_deployment
-- Runs of a deployment that have not been started.
SELECT id FROM flow_run WHERE deployment_id = :deployment_id AND state_type = 'SCHEDULED' AND lease_expires_at IS NULL

-- name: due_of_deployments
-- Due runs that nobody holds, of deployments that are not paused; an order and a page follow.
SELECT r.id FROM flow_run r JOIN deployment e ON e.id = r.deployment_id
WHERE r.deployment_id IN :ids::uuid[] AND r.state_type = 'SCHEDULED' AND r.due_at <= :before
  AND r.lease_expires_at IS NULL AND NOT e.paused
ORDER BY r.due_at, r.id

-- name: ahead_of_schedule
-- Runs that a schedule made ahead; those that are due already are work, and stay.
SELECT id FROM flow_run
WHERE schedule_id = :schedule_id AND state_type = 'SCHEDULED' AND lease_expires_at IS NULL AND due_at > :now

-- name: due_of_schedule
-- A schedule's runs that are due, that nobody holds and that have not begun.
SELECT id, due_at, state_name FROM flow_run
WHERE schedule_id = :schedule_id AND state_type = 'SCHEDULED' AND due_at <= :now AND lease_expires_at IS NULL
  AND run_count = 0
ORDER BY due_at

-- name: fire_times
-- When a schedule's waiting runs fall.
SELECT due_at FROM flow_run WHERE schedule_id = :schedule_id AND state_type = 'SCHEDULED'

-- name: turned_late
-- Runs past their time that are not called Late yet.
SELECT id FROM flow_run WHERE state_name = 'Scheduled' AND due_at < :before ORDER BY due_at LIMIT :limit
