-- name: insert
INSERT INTO automation (id, created, updated, name, description, enabled, tags, trigger_data, actions, actions_on_trigger,
                        actions_on_resolve, owner_resource)
VALUES (:id, :created, :updated, :name, :description, :enabled, :tags, :trigger, :actions, :actions_on_trigger,
        :actions_on_resolve, :owner_resource)

-- name: select
-- Automations; a condition on au follows.
SELECT au.id, au.created, au.updated, au.name, au.description, au.enabled, au.tags, au.trigger_data, au.actions,
       au.actions_on_trigger, au.actions_on_resolve
FROM automation au

-- name: related
-- Those that go with a resource or, if it is a deployment, run it.
SELECT au.id, au.created, au.updated, au.name, au.description, au.enabled, au.tags, au.trigger_data, au.actions,
       au.actions_on_trigger, au.actions_on_resolve
FROM automation au
WHERE au.owner_resource = :resource OR EXISTS (
    SELECT 1 FROM json_each(au.actions) AS a
    WHERE a.value ->> 'type' = 'run-deployment' AND 'prefect.deployment.' || (a.value ->> 'deployment_id') = :resource
)
ORDER BY au.name, au.id

-- name: related [postgresql]
SELECT au.id, au.created, au.updated, au.name, au.description, au.enabled, au.tags, au.trigger_data, au.actions,
       au.actions_on_trigger, au.actions_on_resolve
FROM automation au
WHERE au.owner_resource = :resource OR EXISTS (
    SELECT 1 FROM jsonb_array_elements(CAST(au.actions AS jsonb)) AS a (value)
    WHERE a.value ->> 'type' = 'run-deployment' AND 'prefect.deployment.' || (a.value ->> 'deployment_id') = :resource
)
ORDER BY au.name, au.id

-- name: update
UPDATE automation SET updated = :updated, name = :name, description = :description, enabled = :enabled, tags = :tags,
    trigger_data = :trigger, actions = :actions, actions_on_trigger = :actions_on_trigger,
    actions_on_resolve = :actions_on_resolve
WHERE id = :id

-- name: delete
DELETE FROM automation WHERE id = :id

-- name: delete_owned
-- Those that go with a resource and were made by then.
DELETE FROM automation WHERE owner_resource = :owner AND created <= :now
