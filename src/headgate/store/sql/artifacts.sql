-- name: insert
INSERT INTO artifact (id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
VALUES (:id, :created, :updated, :key, :type, :description, :data::json, :metadata_::json, :flow_run_id, :task_run_id)

-- name: select
-- Artifacts; a condition on art follows.
SELECT art.id, art.created, art.updated, art.key, art.type, art.description, art.data, art.metadata_, art.flow_run_id,
       art.task_run_id
FROM artifact art

-- name: of_graph
-- What a flow run and its task runs left, but for results; whether each is the latest of its key.
SELECT art.id, art.created, art.key, art.type, art.data, art.task_run_id,
       NOT EXISTS (SELECT 1 FROM artifact later WHERE later.key = art.key AND later.id > art.id) AS is_latest
FROM artifact art
WHERE art.flow_run_id = :flow_run_id AND art.type <> 'result'
ORDER BY art.id
LIMIT :limit::bigint

-- name: update
UPDATE artifact SET updated = :updated, description = :description, data = :data::json, metadata_ = :metadata_::json
WHERE id = :id

-- name: delete
DELETE FROM artifact WHERE id = :id
