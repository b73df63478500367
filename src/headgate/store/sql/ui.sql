-- name: deployments_by_flow
SELECT e.flow_id, count(*) AS found FROM deployment e WHERE e.flow_id IN :ids::uuid[] GROUP BY e.flow_id

-- name: next_runs
-- The run of each flow that waits for the earliest time.
SELECT r.id, r.flow_id, d.name, r.state_name, r.state_type, r.due_at
FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
WHERE r.flow_id IN :ids::uuid[] AND r.state_type = 'SCHEDULED' AND NOT EXISTS (
    SELECT 1 FROM flow_run o
    WHERE o.flow_id = r.flow_id AND o.state_type = 'SCHEDULED' AND (o.due_at, o.id) < (r.due_at, r.id))
