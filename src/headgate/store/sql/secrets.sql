-- name: insert
-- A secret, unless one of that name exists.
INSERT INTO secret (id, created, updated, name, ciphertext)
VALUES (:id, :created, :updated, :name, :ciphertext)
ON CONFLICT (name) DO NOTHING

-- name: select
-- Secrets without what they hold; a condition on s follows.
SELECT s.id, s.created, s.updated, s.name FROM secret s

-- name: ciphertexts_of
-- What secrets of these names hold, as it is kept.
SELECT s.name, s.ciphertext FROM secret s WHERE s.name IN :names::text[]

-- name: update
UPDATE secret SET updated = :updated, ciphertext = :ciphertext WHERE name = :name

-- name: delete
DELETE FROM secret WHERE name = :name
