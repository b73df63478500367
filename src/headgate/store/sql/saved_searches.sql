-- name: put
-- A search, in place of the one of its name; the id and time of that stay.
INSERT INTO saved_search (id, created, updated, name, filters) VALUES (:id, :created, :updated, :name, :filters::json)
ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, filters = excluded.filters

-- name: select
SELECT h.id, h.created, h.updated, h.name, h.filters FROM saved_search h

-- name: delete
DELETE FROM saved_search WHERE id = :id
