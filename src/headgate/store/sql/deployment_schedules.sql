-- name: insert
INSERT INTO deployment_schedule (id, created, updated, deployment_id, schedule, active, max_scheduled_runs,
                                 parameters, job_variables, slug, pause, misfire)
VALUES (:id, :created, :updated, :deployment_id, :schedule, :active, :max_scheduled_runs,
        :parameters, :job_variables, :slug, :pause, :misfire)

-- name: select
-- Schedules; a condition on s follows.
SELECT s.id, s.created, s.updated, s.deployment_id, s.schedule, s.active, s.max_scheduled_runs, s.parameters,
       s.job_variables, s.slug, s.pause, s.misfire
FROM deployment_schedule s

-- name: update
UPDATE deployment_schedule
SET updated = :updated, schedule = :schedule, active = :active, max_scheduled_runs = :max_scheduled_runs,
    parameters = :parameters, job_variables = :job_variables, slug = :slug, pause = :pause,
    misfire = :misfire
WHERE id = :id

-- name: delete
DELETE FROM deployment_schedule WHERE id = :id

-- name: active
-- What the scheduler works on: active schedules of deployments that are not paused, a page at a time, with how many
-- runs each has waiting and when its last one falls.
SELECT s.id, s.deployment_id, s.schedule, s.max_scheduled_runs, s.parameters, s.job_variables, s.slug, s.misfire, s.made_until,
       (SELECT count(*) FROM flow_run r WHERE r.schedule_id = s.id AND r.state_type = 'SCHEDULED') AS waiting
FROM deployment_schedule s JOIN deployment e ON e.id = s.deployment_id
WHERE s.active AND NOT e.paused AND s.id > :after
ORDER BY s.id LIMIT :limit

-- name: active_of_deployment
-- The same for one deployment.
SELECT s.id, s.deployment_id, s.schedule, s.max_scheduled_runs, s.parameters, s.job_variables, s.slug, s.misfire, s.made_until,
       (SELECT count(*) FROM flow_run r WHERE r.schedule_id = s.id AND r.state_type = 'SCHEDULED') AS waiting
FROM deployment_schedule s JOIN deployment e ON e.id = s.deployment_id
WHERE s.active AND NOT e.paused AND s.deployment_id = :deployment_id

-- name: set_made_until
-- Up to when the scheduler has made runs; null: it makes none, and what passes meanwhile is not made up for.
UPDATE deployment_schedule SET made_until = :made_until WHERE id IN :ids::uuid[]

-- name: with_misfire
-- Schedules whose runs may be skipped when they could not start in time.
SELECT id, misfire FROM deployment_schedule WHERE misfire IS NOT NULL
