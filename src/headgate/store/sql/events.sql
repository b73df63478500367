-- name: known
-- Which of these events are kept already.
SELECT event_id FROM event WHERE event_id IN :ids::uuid[]

-- name: insert
INSERT INTO event (id, event_id, occurred, event, resource_id, resource, related, payload, follows)
VALUES (:id, :event_id, :occurred, :event, :resource_id, :resource, :related, :payload, :follows)

-- name: entered_since
-- States that runs entered from an id on.
SELECT id FROM flow_run_state WHERE id >= :since ORDER BY id

-- name: kept_since
-- Events that were received from an id on.
SELECT id FROM event WHERE id >= :since ORDER BY id

-- name: before
-- The states that runs were in before they entered these.
SELECT s.id AS entered, b.id, b.type, b.name, b.timestamp, b.message, b.state_details
FROM flow_run_state s JOIN flow_run_state b ON b.flow_run_id = s.flow_run_id AND b.id = (
    SELECT c.id FROM flow_run_state c WHERE c.flow_run_id = s.flow_run_id AND c.id < s.id ORDER BY c.id DESC LIMIT 1
)
WHERE s.id IN :ids::uuid[]
