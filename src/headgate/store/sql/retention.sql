-- name: ended
-- Runs whose end is too old, page by page. One that a schedule made ahead stays until its fire time is too old as well:
-- it is what tells the scheduler that this fire time has been served.
SELECT id, end_time FROM flow_run
WHERE end_time IS NOT NULL AND end_time < :before AND (end_time, id) > (:since, :since_id)
  AND (schedule_id IS NULL OR expected_start_time < :before)
ORDER BY end_time, id LIMIT :limit

-- name: hold_ended
-- Those of them of which it is still so, and that nobody holds.
SELECT id FROM flow_run
WHERE id IN :ids::uuid[] AND end_time < :before AND state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
  AND NOT holds_slot AND lease_expires_at IS NULL
ORDER BY id

-- name: hold_ended [postgresql]
SELECT id FROM flow_run
WHERE id = ANY(:ids::uuid[]) AND end_time < :before AND state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
  AND NOT holds_slot AND lease_expires_at IS NULL
ORDER BY id FOR UPDATE SKIP LOCKED

-- name: count_ended
-- For a person who asks; so are the other counts.
SELECT count(*) FROM flow_run
WHERE end_time IS NOT NULL AND end_time < :before AND (schedule_id IS NULL OR expected_start_time < :before)

-- name: count_states
SELECT count(*) FROM flow_run r JOIN flow_run_state s ON s.flow_run_id = r.id
WHERE r.end_time IS NOT NULL AND r.end_time < :before AND (r.schedule_id IS NULL OR r.expected_start_time < :before)

-- name: count_task_runs
SELECT count(*) FROM flow_run r JOIN task_run t ON t.flow_run_id = r.id
WHERE r.end_time IS NOT NULL AND r.end_time < :before AND (r.schedule_id IS NULL OR r.expected_start_time < :before)

-- name: count_task_states
SELECT count(*) FROM flow_run r JOIN task_run t ON t.flow_run_id = r.id JOIN task_run_state s ON s.task_run_id = t.id
WHERE r.end_time IS NOT NULL AND r.end_time < :before AND (r.schedule_id IS NULL OR r.expected_start_time < :before)

-- name: count_alone
-- Task runs without a flow run, and their states.
SELECT count(*) FROM task_run WHERE flow_run_id IS NULL AND end_time IS NOT NULL AND end_time < :before

-- name: count_states_alone
SELECT count(*) FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id
WHERE t.flow_run_id IS NULL AND t.end_time IS NOT NULL AND t.end_time < :before

-- name: count_lines_of_ended
-- Those that are not too old by themselves.
SELECT count(*) FROM flow_run r JOIN log l ON l.flow_run_id = r.id
WHERE r.end_time IS NOT NULL AND r.end_time < :before AND (r.schedule_id IS NULL OR r.expected_start_time < :before)
  AND l.id >= :before_id

-- name: count_old_lines
SELECT count(*) FROM log WHERE id < :before_id

-- name: lines_of
-- How many lines runs have, up to a limit in all.
SELECT l.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM log WHERE flow_run_id IN :ids::uuid[] ORDER BY flow_run_id LIMIT :limit
) AS l GROUP BY l.flow_run_id

-- name: lines_of [postgresql]
SELECT l.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM log WHERE flow_run_id = ANY(:ids::uuid[]) ORDER BY flow_run_id LIMIT :limit
) AS l GROUP BY l.flow_run_id

-- name: states_of
-- How many states runs have, up to a limit in all.
SELECT s.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM flow_run_state WHERE flow_run_id IN :ids::uuid[] ORDER BY flow_run_id LIMIT :limit
) AS s GROUP BY s.flow_run_id

-- name: states_of [postgresql]
SELECT s.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM flow_run_state WHERE flow_run_id = ANY(:ids::uuid[]) ORDER BY flow_run_id LIMIT :limit
) AS s GROUP BY s.flow_run_id

-- name: tasks_of
-- How many task runs with their states runs have, up to a limit in all; one row stands for each state.
SELECT t.flow_run_id, count(*) AS rows FROM (
    SELECT t.flow_run_id FROM task_run t LEFT JOIN task_run_state s ON s.task_run_id = t.id
    WHERE t.flow_run_id IN :ids::uuid[] ORDER BY t.flow_run_id LIMIT :limit
) AS t GROUP BY t.flow_run_id

-- name: tasks_of [postgresql]
SELECT t.flow_run_id, count(*) AS rows FROM (
    SELECT t.flow_run_id FROM task_run t LEFT JOIN task_run_state s ON s.task_run_id = t.id
    WHERE t.flow_run_id = ANY(:ids::uuid[]) ORDER BY t.flow_run_id LIMIT :limit
) AS t GROUP BY t.flow_run_id

-- name: count_some_tasks
SELECT count(*) FROM task_run WHERE flow_run_id IN :ids::uuid[]

-- name: count_some_task_states
SELECT count(*) FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id WHERE t.flow_run_id IN :ids::uuid[]

-- name: delete_states_alone
DELETE FROM task_run_state WHERE task_run_id IN :ids::uuid[]

-- name: cut_task_states
-- Some states of the task runs of one run that has too many for one transaction.
DELETE FROM task_run_state WHERE (task_run_id, id) IN (
    SELECT s.task_run_id, s.id FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id
    WHERE t.flow_run_id = :flow_run_id LIMIT :limit
)

-- name: cut_tasks
-- The same of its task runs, when no state of theirs is left.
DELETE FROM task_run WHERE id IN (SELECT id FROM task_run WHERE flow_run_id = :flow_run_id LIMIT :limit)

-- name: ended_alone
-- Task runs that belong to no flow run and whose end is too old.
SELECT id FROM task_run
WHERE flow_run_id IS NULL AND end_time IS NOT NULL AND end_time < :before ORDER BY end_time, id LIMIT :limit

-- name: cut_lines
-- The first lines of one run that has too many for one transaction.
DELETE FROM log WHERE flow_run_id = :flow_run_id AND id < (
    SELECT id FROM log WHERE flow_run_id = :flow_run_id ORDER BY id LIMIT 1 OFFSET :limit
)

-- name: cut_states
-- The first states of one run that has too many for one transaction.
DELETE FROM flow_run_state WHERE flow_run_id = :flow_run_id AND id < (
    SELECT id FROM flow_run_state WHERE flow_run_id = :flow_run_id ORDER BY id LIMIT 1 OFFSET :limit
)

-- name: logged
-- Runs that have lines, by jumps along the key: its cost is their number, not that of the lines.
WITH RECURSIVE logged(id) AS (
    SELECT (SELECT flow_run_id FROM log WHERE flow_run_id >= :from_id AND flow_run_id < :until_id
            ORDER BY flow_run_id LIMIT 1)
    UNION ALL
    SELECT (SELECT l.flow_run_id FROM log l WHERE l.flow_run_id > logged.id AND l.flow_run_id < :until_id
            ORDER BY l.flow_run_id LIMIT 1)
    FROM logged WHERE logged.id IS NOT NULL
)
SELECT id FROM logged WHERE id IS NOT NULL LIMIT :limit

-- name: logged [postgresql]
-- The lines' own ids are below the bound as well, which leaves out the partitions of a later time.
WITH RECURSIVE logged(id) AS (
    SELECT (SELECT flow_run_id FROM log WHERE flow_run_id >= :from_id AND flow_run_id < :until_id AND id < :until_id
            ORDER BY flow_run_id LIMIT 1)
    UNION ALL
    SELECT (SELECT l.flow_run_id FROM log l
            WHERE l.flow_run_id > logged.id AND l.flow_run_id < :until_id AND l.id < :until_id
            ORDER BY l.flow_run_id LIMIT 1)
    FROM logged WHERE logged.id IS NOT NULL
)
SELECT id FROM logged WHERE id IS NOT NULL LIMIT :limit

-- name: old_lines_of
-- How many lines of runs are too old, up to a limit in all.
SELECT l.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM log WHERE flow_run_id IN :ids::uuid[] AND id < :before_id ORDER BY flow_run_id LIMIT :limit
) AS l GROUP BY l.flow_run_id

-- name: old_lines_of [postgresql]
SELECT l.flow_run_id, count(*) AS rows FROM (
    SELECT flow_run_id FROM log
    WHERE flow_run_id = ANY(:ids::uuid[]) AND id < :before_id ORDER BY flow_run_id LIMIT :limit
) AS l GROUP BY l.flow_run_id

-- name: delete_old_lines
DELETE FROM log WHERE flow_run_id IN :ids::uuid[] AND id < :before_id

-- name: delete_old_lines [postgresql]
DELETE FROM log WHERE flow_run_id = ANY(:ids::uuid[]) AND id < :before_id

-- name: recorded
-- Runs that have states, by jumps along the key, and whether the run is still there.
WITH RECURSIVE recorded(id) AS (
    SELECT (SELECT flow_run_id FROM flow_run_state WHERE flow_run_id >= :from_id ORDER BY flow_run_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.flow_run_id FROM flow_run_state s WHERE s.flow_run_id > recorded.id ORDER BY s.flow_run_id LIMIT 1)
    FROM recorded WHERE recorded.id IS NOT NULL
)
SELECT c.id, EXISTS (SELECT 1 FROM flow_run r WHERE r.id = c.id) AS stays
FROM recorded c WHERE c.id IS NOT NULL LIMIT :limit

-- name: tasked
-- Flow runs that have task runs, by jumps along the key, and whether the flow run is still there.
WITH RECURSIVE tasked(id) AS (
    SELECT (SELECT flow_run_id FROM task_run WHERE flow_run_id >= :from_id ORDER BY flow_run_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.flow_run_id FROM task_run t WHERE t.flow_run_id > tasked.id ORDER BY t.flow_run_id LIMIT 1)
    FROM tasked WHERE tasked.id IS NOT NULL
)
SELECT c.id, EXISTS (SELECT 1 FROM flow_run r WHERE r.id = c.id) AS stays
FROM tasked c WHERE c.id IS NOT NULL LIMIT :limit

-- name: silent_workers
-- Workers that were not heard of since, without those that still hold a run.
SELECT w.id, w.created, w.last_heartbeat_time, w.heartbeat_interval_seconds FROM worker w
WHERE COALESCE(w.last_heartbeat_time, w.created) < :before
  AND NOT EXISTS (SELECT 1 FROM flow_run r WHERE r.worker_id = w.id AND r.lease_expires_at IS NOT NULL)

-- name: silent_agents
SELECT a.id, a.created, a.last_heartbeat_time, a.heartbeat_interval_seconds FROM agent a
WHERE COALESCE(a.last_heartbeat_time, a.created) < :before
  AND NOT EXISTS (SELECT 1 FROM flow_run r WHERE r.worker_id = a.id AND r.lease_expires_at IS NOT NULL)

-- name: delete_workers
DELETE FROM worker WHERE id IN :ids::uuid[] AND COALESCE(last_heartbeat_time, created) < :before

-- name: delete_agents
DELETE FROM agent WHERE id IN :ids::uuid[] AND COALESCE(last_heartbeat_time, created) < :before

-- name: has_old_events
SELECT EXISTS (SELECT 1 FROM event WHERE id < :before_id)

-- name: count_old_events
SELECT count(*) FROM event WHERE id < :before_id

-- name: delete_old_events
-- Some of the events of before.
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < :before_id ORDER BY id LIMIT :limit)
