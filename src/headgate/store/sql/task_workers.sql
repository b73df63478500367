-- name: enqueue
-- A task run waits for a task worker; one that waits already, or again, is to be delivered anew.
INSERT INTO waiting_task (task_run_id, task_key, created, offered_until)
VALUES (:task_run_id, :task_key, :created, :offered_until)
ON CONFLICT (task_run_id) DO UPDATE SET created = excluded.created, offered_until = excluded.offered_until

-- name: any_waiting
-- Whether some task run of these tasks is offered to nobody.
SELECT 1 FROM waiting_task WHERE task_key IN :keys::text[] AND offered_until <= :now LIMIT 1

-- name: offer
-- The longest waiting one of a task that is offered to nobody is offered until a time.
UPDATE waiting_task SET offered_until = :until WHERE task_run_id = (
    SELECT task_run_id FROM waiting_task WHERE task_key = :key AND offered_until <= :now
    ORDER BY created, task_run_id LIMIT 1
)
RETURNING task_run_id

-- name: offer [postgresql]
UPDATE waiting_task SET offered_until = :until WHERE task_run_id = (
    SELECT task_run_id FROM waiting_task WHERE task_key = :key AND offered_until <= :now
    ORDER BY created, task_run_id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING task_run_id

-- name: withdraw
-- It was not taken, and waits as before; nothing when it was offered to another meanwhile.
UPDATE waiting_task SET offered_until = :now WHERE task_run_id = :task_run_id AND offered_until = :until

-- name: delete
-- It was taken, or need not be.
DELETE FROM waiting_task WHERE task_run_id = :task_run_id AND offered_until = :until

-- name: attend
-- A task worker is connected.
INSERT INTO task_worker (id, identifier, task_keys, last_seen) VALUES (:id, :identifier, :task_keys, :last_seen)
ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen

-- name: leave
-- It is not any more; nor are those that were not heard of for long.
DELETE FROM task_worker WHERE id = :id OR last_seen < :stale

-- name: attending
-- Those that are connected.
SELECT w.identifier, w.task_keys, w.last_seen FROM task_worker w WHERE w.last_seen >= :stale ORDER BY w.identifier, w.id
