-- name: insert
-- A block type, unless one of that slug exists.
INSERT INTO block_type (id, created, updated, name, slug, logo_url, documentation_url, description, code_example, is_protected)
VALUES (:id, :created, :updated, :name, :slug, :logo_url, :documentation_url, :description, :code_example, :is_protected)
ON CONFLICT (slug) DO NOTHING

-- name: select
-- Block types; a condition on t follows.
SELECT t.id, t.created, t.updated, t.name, t.slug, t.logo_url, t.documentation_url, t.description, t.code_example,
       t.is_protected
FROM block_type t

-- name: update
UPDATE block_type SET updated = :updated, logo_url = :logo_url, documentation_url = :documentation_url,
    description = :description, code_example = :code_example, is_protected = :is_protected
WHERE id = :id

-- name: delete
-- With its schemas and documents.
DELETE FROM block_type WHERE id = :id
