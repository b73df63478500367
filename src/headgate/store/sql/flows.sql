-- name: insert
-- A flow, unless one of that name exists.
INSERT INTO flow (id, created, updated, name, tags, labels)
VALUES (:id, :created, :updated, :name, :tags, :labels)
ON CONFLICT (name) DO NOTHING

-- name: select
-- Flows; a condition on f follows.
SELECT f.id, f.created, f.updated, f.name, f.tags, f.labels FROM flow f

-- name: update
UPDATE flow SET updated = :updated, tags = :tags, labels = :labels WHERE id = :id

-- name: delete
-- Deployments and their schedules go with it; runs are deleted by their own statement first.
DELETE FROM flow WHERE id = :id
