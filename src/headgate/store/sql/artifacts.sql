-- name: insert
INSERT INTO artifact (id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
VALUES (:id, :created, :updated, :key, :type, :description, :data::json, :metadata_::json, :flow_run_id, :task_run_id)

-- name: select
-- Artifacts; a condition on art follows.
SELECT art.id, art.created, art.updated, art.key, art.type, art.description, art.data, art.metadata_, art.flow_run_id,
       art.task_run_id
FROM artifact art

-- name: update
UPDATE artifact SET updated = :updated, description = :description, data = :data::json, metadata_ = :metadata_::json
WHERE id = :id

-- name: delete
DELETE FROM artifact WHERE id = :id
