-- name: put
INSERT INTO configuration (key, updated, value) VALUES (:key, :updated, :value::json)
ON CONFLICT (key) DO UPDATE SET updated = excluded.updated, value = excluded.value

-- name: get
SELECT c.value FROM configuration c WHERE c.key = :key

-- name: delete
DELETE FROM configuration WHERE key = :key
