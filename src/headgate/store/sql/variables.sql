-- name: insert
-- A variable, unless one of that name exists. Its value may be null, which is not the column's NULL.
INSERT INTO variable (id, created, updated, name, value, tags)
VALUES (:id, :created, :updated, :name, COALESCE(:value::json, 'null'), :tags)
ON CONFLICT (name) DO NOTHING

-- name: select
-- Variables; a condition on v follows.
SELECT v.id, v.created, v.updated, v.name, v.value, v.tags FROM variable v

-- name: values_of
-- What references to these names stand for.
SELECT v.name, v.value FROM variable v WHERE v.name IN :names::text[]

-- name: update
-- Unless the name is another's.
UPDATE variable SET updated = :updated, name = :name, value = COALESCE(:value::json, 'null'), tags = :tags
WHERE id = :id AND NOT EXISTS (SELECT 1 FROM variable other WHERE other.name = :name AND other.id <> :id)

-- name: delete
DELETE FROM variable WHERE id = :id
