-- One row a parcel that is on its way.
SELECT
    parcel_id AS example_id,
    depot,
    ordered_at,
    weight_kg,
    is_express,
    hour(ordered_at) AS scan_hour
FROM orders
