-- name: insert
INSERT INTO flow_run_notification_policy
    (id, created, updated, is_active, state_names, tags, block_document_id, message_template)
VALUES (:id, :created, :updated, :is_active, :state_names, :tags, :block_document_id, :message_template)

-- name: select
-- Policies; a condition on n follows.
SELECT n.id, n.created, n.updated, n.is_active, n.state_names, n.tags, n.block_document_id, n.message_template
FROM flow_run_notification_policy n

-- name: update
UPDATE flow_run_notification_policy SET updated = :updated, is_active = :is_active, state_names = :state_names,
    tags = :tags, block_document_id = :block_document_id, message_template = :message_template
WHERE id = :id

-- name: delete
DELETE FROM flow_run_notification_policy WHERE id = :id
