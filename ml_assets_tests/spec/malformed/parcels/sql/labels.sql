SELECT
    parcel_id AS example_id,
    CAST(delay_h > 24 AS INTEGER) AS label,
    known_at
FROM deliveries
WHERE status = 'delivered'
