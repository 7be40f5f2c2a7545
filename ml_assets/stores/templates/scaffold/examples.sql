-- The rows to predict: one row an example, predicted at the batch of the drop that brings it.
SELECT
    thing_id AS example_id,
    thing_id,
    group_name,
    amount
FROM things
