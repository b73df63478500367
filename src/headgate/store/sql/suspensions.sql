-- name: paused
-- Paused runs with what their pause says of its end, page by page.
SELECT r.id, r.state_id, s.state_details
FROM flow_run r JOIN flow_run_state s ON s.flow_run_id = r.id AND s.id = r.state_id
WHERE r.state_type = 'PAUSED' AND r.id > :after_id
ORDER BY r.id LIMIT :limit
