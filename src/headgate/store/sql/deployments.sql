-- name: insert
INSERT INTO deployment (id, created, updated, flow_id, name, version, description, paused, concurrency_limit,
                        concurrency_options, job_variables, parameters, parameter_openapi_schema,
                        enforce_parameter_schema, tags, labels, work_queue_id, work_queue_name, path, pull_steps,
                        entrypoint, command, storage_document_id, infrastructure_document_id, last_polled, pause,
                        cancels_new, infra_retries, concurrency_key, key_limit, key_strategy, shared_limit_id)
VALUES (:id, :created, :updated, :flow_id, :name, :version, :description, :paused, :concurrency_limit,
        :concurrency_options, :job_variables, :parameters, :parameter_openapi_schema,
        :enforce_parameter_schema, :tags, :labels, :work_queue_id, :work_queue_name, :path, :pull_steps,
        :entrypoint, :command, :storage_document_id, :infrastructure_document_id, NULL, :pause,
        :cancels_new, :infra_retries, :concurrency_key, :key_limit, :key_strategy, :shared_limit_id)
ON CONFLICT (flow_id, name) DO NOTHING

-- name: update
UPDATE deployment
SET updated = :updated, version = :version, description = :description, paused = :paused,
    concurrency_limit = :concurrency_limit, concurrency_options = :concurrency_options,
    job_variables = :job_variables, parameters = :parameters, parameter_openapi_schema = :parameter_openapi_schema,
    enforce_parameter_schema = :enforce_parameter_schema, tags = :tags, labels = :labels,
    work_queue_id = :work_queue_id, work_queue_name = :work_queue_name, path = :path, pull_steps = :pull_steps,
    entrypoint = :entrypoint, command = :command, storage_document_id = :storage_document_id,
    infrastructure_document_id = :infrastructure_document_id, pause = :pause, cancels_new = :cancels_new,
    infra_retries = :infra_retries, concurrency_key = :concurrency_key, key_limit = :key_limit,
    key_strategy = :key_strategy, shared_limit_id = :shared_limit_id
WHERE id = :id

-- name: select
-- Deployments with their queue and pool; a condition on e follows.
SELECT e.id, e.created, e.updated, e.flow_id, e.name, e.version, e.description, e.paused, e.concurrency_limit,
       e.concurrency_options, e.job_variables, e.parameters, e.parameter_openapi_schema,
       e.enforce_parameter_schema, e.tags, e.labels, e.work_queue_id,
       COALESCE(q.name, e.work_queue_name) AS work_queue_name, e.path, e.pull_steps, e.entrypoint, e.command,
       e.storage_document_id, e.infrastructure_document_id, e.infra_retries, e.concurrency_key, e.pause, e.last_polled,
       e.shared_limit_id,
       q.last_polled AS queue_polled,
       p.id AS work_pool_id, p.name AS work_pool_name,
       CASE WHEN e.concurrency_limit IS NULL THEN 0
            ELSE (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.deployment_id = e.id) END AS active_slots
FROM deployment e
LEFT JOIN work_queue q ON q.id = e.work_queue_id
LEFT JOIN work_pool p ON p.id = q.work_pool_id

-- name: move_runs
-- Waiting runs follow their deployment to its new queue, where they may be belated.
UPDATE flow_run SET work_queue_id = :work_queue_id, work_pool_id = :work_pool_id, belated = TRUE
WHERE deployment_id = :id AND state_type = 'SCHEDULED'

-- name: lock
-- Deployments whose switches, schedules or runs ahead are about to change, in id order.
SELECT id FROM deployment WHERE id IN :ids::uuid[] ORDER BY id

-- name: lock [postgresql]
SELECT id FROM deployment WHERE id = ANY(:ids::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: touch
UPDATE deployment SET last_polled = :now WHERE id IN :ids::uuid[]

-- name: delete
DELETE FROM deployment WHERE id = :id
