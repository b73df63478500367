-- name: insert
INSERT INTO log (flow_run_id, id, task_run_id, timestamp, level, name, message)
VALUES (:flow_run_id, :id, :task_run_id, :timestamp, :level, :name, :message)

-- name: insert [postgresql]
INSERT INTO log (flow_run_id, id, task_run_id, timestamp, level, name, message)
SELECT * FROM unnest(:flow_run_id::uuid[*], :id::uuid[*], :task_run_id::uuid[*], :timestamp::timestamptz[*],
                     :level::integer[*], :name::text[*], :message::text[*])

-- name: select
-- Log lines; a condition on l follows.
SELECT l.id, l.flow_run_id, l.task_run_id, l.timestamp, l.level, l.name, l.message FROM log l
