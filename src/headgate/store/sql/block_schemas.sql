-- name: insert
-- A block schema, unless one of that checksum and version exists.
INSERT INTO block_schema (id, created, updated, checksum, version, fields, capabilities, block_type_id)
VALUES (:id, :created, :updated, :checksum, :version, :fields, :capabilities, :block_type_id)
ON CONFLICT (checksum, version) DO NOTHING

-- name: select
-- Block schemas, each with its type as `type_…`; a condition on c follows.
SELECT c.id, c.created, c.updated, c.checksum, c.version, c.fields, c.capabilities, c.block_type_id,
       t.id AS type_id, t.created AS type_created, t.updated AS type_updated, t.name AS type_name, t.slug AS type_slug,
       t.logo_url AS type_logo_url, t.documentation_url AS type_documentation_url, t.description AS type_description,
       t.code_example AS type_code_example, t.is_protected AS type_is_protected
FROM block_schema c JOIN block_type t ON t.id = c.block_type_id

-- name: capabilities
-- Every combination that there is.
SELECT c.capabilities FROM block_schema c

-- name: delete
-- With its documents.
DELETE FROM block_schema WHERE id = :id
