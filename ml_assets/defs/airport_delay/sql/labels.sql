-- What became known: the mean delay at departure of an airport's three hours, once the last of its flights has left.
SELECT
    airport || ' ' || strftime(timezone('UTC', period_start_at), '%Y-%m-%dT%H:%MZ') AS example_id,
    departure_delay_mean_min AS label,      -- minutes; below zero is early
    known_at
FROM airport_reports
