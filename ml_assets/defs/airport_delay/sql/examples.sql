-- The amounts to predict: each airport from which flights are scheduled in the three hours after the batch.
-- Sees only the rows of one drop; `batch` has one row: batch_date, batch_at, previous_batch_at.
SELECT
    airport || ' ' || strftime(timezone('UTC', period_start_at), '%Y-%m-%dT%H:%MZ') AS example_id,
    airport AS origin,                      -- EWR, JFK or LGA; called as in weather and departures
    period_start_at,                        -- the moment of the batch
    planned,                                -- flights scheduled in the three hours
    planned_1h, planned_2h, planned_3h,     -- of these, in each hour
    carriers,                               -- carriers that plan one
    hour(timezone('America/New_York', period_start_at)) AS start_hour,  -- local, 0 to 23
    isodow(timezone('America/New_York', period_start_at)) * 24
        + hour(timezone('America/New_York', period_start_at)) AS hour_of_week
FROM airport_plan
