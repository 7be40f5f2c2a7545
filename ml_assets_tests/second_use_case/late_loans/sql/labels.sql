-- What became known about outcomes: one row an example, in the drop that brings it.
-- A loan is late that is more than a week behind when it is checked.
-- Sees the rows of one drop of the sources in `from`, with event_at and known_at, and `batch`, one row:
-- batch_date, batch_at, previous_batch_at. One SELECT; the same rows give the same result whenever it runs.
SELECT
    loan_id AS example_id,
    CAST(days_late > 7 AS INTEGER) AS label,
    known_at
FROM repayments
