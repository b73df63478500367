-- name: insert
-- No row, and no error, when the run has an input of that key.
INSERT INTO flow_run_input (flow_run_id, key, id, created, updated, value, sender)
VALUES (:flow_run_id, :key, :id, :created, :created, :value, :sender)
ON CONFLICT DO NOTHING

-- name: get
SELECT id, created, updated, flow_run_id, key, value, sender FROM flow_run_input
WHERE flow_run_id = :flow_run_id AND key = :key

-- name: list
-- Those of a run whose key begins with a text, but for some, the earliest first.
SELECT id, created, updated, flow_run_id, key, value, sender FROM flow_run_input
WHERE flow_run_id = :flow_run_id AND substr(key, 1, CAST(:length AS INTEGER)) = :prefix AND key NOT IN :excluded::text[]
ORDER BY created, id LIMIT :limit

-- name: delete
DELETE FROM flow_run_input WHERE flow_run_id = :flow_run_id AND key = :key

-- name: delete_keys
DELETE FROM flow_run_input WHERE flow_run_id = :flow_run_id AND key IN :keys::text[]
