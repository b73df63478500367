-- name: insert
INSERT INTO flow_run_state (flow_run_id, id, type, name, timestamp, message, state_details, data)
VALUES (:flow_run_id, :id, :type, :name, :timestamp, :message, :state_details, :data::json)

-- name: insert [postgresql]
INSERT INTO flow_run_state (flow_run_id, id, type, name, timestamp, message, state_details, data)
SELECT * FROM unnest(:flow_run_id::uuid[*], :id::uuid[*], :type::text[*], :name::text[*], :timestamp::timestamptz[*],
                     :message::text[*], :state_details::json[*], :data::json[*])

-- name: of_run
SELECT flow_run_id, id, type, name, timestamp, message, state_details, data
FROM flow_run_state WHERE flow_run_id = :flow_run_id ORDER BY id

-- name: get
-- One state, by its own id, which no index has: it is looked for at the runs that were made before it, the latest first,
-- one probe each.
SELECT s.id, s.type, s.name, s.timestamp, s.message, s.state_details, s.data
FROM flow_run r JOIN flow_run_state s ON s.flow_run_id = r.id AND s.id = :id
WHERE r.id <= :id ORDER BY r.id DESC LIMIT 1
