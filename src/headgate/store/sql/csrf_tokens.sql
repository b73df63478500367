-- name: put
-- The client's token, in place of the one that it had.
INSERT INTO csrf_token (id, created, updated, client, token, expiration)
VALUES (:id, :created, :updated, :client, :token, :expiration)
ON CONFLICT (client) DO UPDATE SET updated = excluded.updated, token = excluded.token, expiration = excluded.expiration

-- name: get
-- What a client was given, unless its time is up.
SELECT t.id, t.created, t.updated, t.client, t.token, t.expiration
FROM csrf_token t WHERE t.client = :client AND t.expiration > :now

-- name: delete_expired
DELETE FROM csrf_token WHERE expiration <= :now
