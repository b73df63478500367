-- name: list
-- Every job that has or had a leader.
SELECT name, holder_id, place, since, expires_at FROM loop_leader ORDER BY name

-- name: renew
-- A leader is alive: it goes on with the jobs that nobody has taken over.
UPDATE loop_leader SET expires_at = :expires_at WHERE holder_id = :holder_id AND name IN :names::text[] RETURNING name

-- name: take
-- A job without a leader gets one; where two ask at once the second finds that the first's turn lasts.
INSERT INTO loop_leader (name, holder_id, place, since, expires_at)
VALUES (:name, :holder_id, :place, :since, :expires_at)
ON CONFLICT (name) DO UPDATE
SET holder_id = excluded.holder_id, place = excluded.place, since = excluded.since, expires_at = excluded.expires_at
WHERE loop_leader.expires_at < :now
RETURNING name

-- name: give_back
-- A leader stops in good order.
DELETE FROM loop_leader WHERE holder_id = :holder_id
