-- name: holders
-- Runs that hold slots of a pool's queues, longest in their state first: of each queue those from one place to another.
SELECT h.id, h.name, h.state_type, h.state_name, h.start_time, h.state_timestamp, h.work_queue_id
FROM (
    SELECT r.id, d.name, r.state_type, r.state_name, r.start_time, r.state_timestamp, r.work_queue_id,
           row_number() OVER (PARTITION BY r.work_queue_id ORDER BY r.state_timestamp, r.id) AS place
    FROM flow_run r JOIN flow_run_detail d ON d.flow_run_id = r.id
    WHERE r.holds_slot AND r.work_pool_id = :pool_id AND r.work_queue_id IN :queue_ids::uuid[]
) h
WHERE h.place > :first AND h.place <= :last
ORDER BY h.place
