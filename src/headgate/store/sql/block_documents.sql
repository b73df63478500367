-- name: insert
-- A document, unless its type has one of that name.
INSERT INTO block_document (id, created, updated, name, block_type_id, block_schema_id, is_anonymous, is_sealed, data)
VALUES (:id, :created, :updated, :name, :block_type_id, :block_schema_id, :is_anonymous, :is_sealed, :data)
ON CONFLICT (block_type_id, name) DO NOTHING

-- name: select
-- Documents as they are kept; a condition on b, its type t and its schema c follows.
SELECT b.id, b.created, b.updated, b.name, b.block_type_id, b.block_schema_id, b.is_anonymous, b.is_sealed, b.data
FROM block_document b JOIN block_type t ON t.id = b.block_type_id JOIN block_schema c ON c.id = b.block_schema_id

-- name: by_ids
SELECT b.id, b.created, b.updated, b.name, b.block_type_id, b.block_schema_id, b.is_anonymous, b.is_sealed, b.data
FROM block_document b WHERE b.id IN :ids::uuid[]

-- name: update
UPDATE block_document SET updated = :updated, block_schema_id = :block_schema_id, is_sealed = :is_sealed, data = :data
WHERE id = :id

-- name: delete
DELETE FROM block_document WHERE id = :id

-- name: references
-- Which documents hold which others, in which field.
SELECT h.parent_id, h.name, h.document_id FROM block_reference h WHERE h.parent_id IN :parents::uuid[]
ORDER BY h.parent_id, h.name

-- name: refer
INSERT INTO block_reference (parent_id, name, document_id) VALUES (:parent_id, :name, :document_id)

-- name: unrefer
DELETE FROM block_reference WHERE parent_id = :parent_id
