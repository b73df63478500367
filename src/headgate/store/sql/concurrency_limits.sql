-- name: insert
-- A limit, unless one of that name exists.
INSERT INTO concurrency_limit (id, created, updated, name, active, slot_limit, active_slots, denied_slots,
                               slot_decay_per_second, avg_slot_occupancy_seconds, counted_at)
VALUES (:id, :created, :updated, :name, :active, :slot_limit, :active_slots, :denied_slots,
        :slot_decay_per_second, :avg_slot_occupancy_seconds, :counted_at)
ON CONFLICT (name) DO NOTHING

-- name: select
-- Limits; a condition on c follows.
SELECT c.id, c.created, c.updated, c.name, c.active, c.slot_limit, c.active_slots, c.denied_slots,
       c.slot_decay_per_second, c.avg_slot_occupancy_seconds, c.counted_at
FROM concurrency_limit c

-- name: names
-- Every limit by its name, those of deployments among them; an order and a page follow.
SELECT named.name FROM (
    SELECT c.name FROM concurrency_limit c
    UNION ALL
    SELECT 'deployment:' || CAST(e.id AS TEXT) FROM deployment e WHERE e.concurrency_limit IS NOT NULL
) named

-- name: update
-- Unless the name is another's.
UPDATE concurrency_limit
SET updated = :updated, name = :name, active = :active, slot_limit = :slot_limit, active_slots = :active_slots,
    denied_slots = :denied_slots, slot_decay_per_second = :slot_decay_per_second,
    avg_slot_occupancy_seconds = :avg_slot_occupancy_seconds, counted_at = :counted_at
WHERE id = :id AND NOT EXISTS (SELECT 1 FROM concurrency_limit other WHERE other.name = :name AND other.id <> :id)

-- name: delete
DELETE FROM concurrency_limit WHERE id = :id

-- name: users
-- The deployments whose runs take slots of limits, and how many slots they have.
SELECT e.shared_limit_id AS limit_id, e.id,
       (SELECT count(*) FROM flow_run r WHERE r.holds_slot AND r.deployment_id = e.id) AS used
FROM deployment e WHERE e.shared_limit_id IN :ids::uuid[] ORDER BY e.id

-- name: forget
-- Deployments whose limit is deleted have none.
UPDATE deployment SET shared_limit_id = NULL, cancels_new = FALSE WHERE shared_limit_id = :id

-- name: insert_lease
INSERT INTO concurrency_lease (id, limit_id, created, expires_at, slots, holder_type, holder_id)
VALUES (:id, :limit_id, :created, :expires_at, :slots, :holder_type, :holder_id)

-- name: renew_lease
-- One that lapsed cannot be renewed: its slots may be another's.
UPDATE concurrency_lease SET expires_at = :expires_at WHERE id = :id AND expires_at > :now

-- name: select_leases
-- What leases hold; a condition on h follows.
SELECT h.id, h.limit_id, h.created, h.expires_at, h.slots, h.holder_type, h.holder_id FROM concurrency_lease h

-- name: delete_lease
-- What a lease holds of one limit; its slots have been given back in the same transaction.
DELETE FROM concurrency_lease WHERE id = :id AND limit_id = :limit_id
