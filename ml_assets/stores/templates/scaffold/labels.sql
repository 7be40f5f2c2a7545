-- What became known about outcomes: one row an example, in the drop that brings it.
SELECT
    thing_id AS example_id,
    CAST(went_wrong AS INTEGER) AS label,
    known_at
FROM outcomes
WHERE went_wrong IS NOT NULL
