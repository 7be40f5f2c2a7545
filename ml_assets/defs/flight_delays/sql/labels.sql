-- What became known about outcomes: one row a completed flight.
-- Cancelled and diverted flights are resolved without a label: unknown is not negative.
SELECT
    flight_id AS example_id,
    CAST(arrival_delay_min >= 15 AS INTEGER) AS label,   -- 1: arrived 15 or more minutes late
    arrival_delay_min,                                   -- how late, for those who act by minutes; negative is early
    known_at
FROM flight_outcomes
WHERE status = 'completed' AND arrival_delay_min IS NOT NULL
