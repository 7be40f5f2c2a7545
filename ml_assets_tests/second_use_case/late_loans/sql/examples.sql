-- The rows to predict: one row an example, predicted at the batch of the drop that brings it, or at a
-- moment of (previous batch, batch] that this SELECT gives as prediction_at.
-- Sees the rows of one drop of the sources in `from`, with event_at and known_at, and `batch`, one row:
-- batch_date, batch_at, previous_batch_at. One SELECT; the same rows give the same result whenever it runs.
SELECT
    loan_id AS example_id,
    loan_id, -- string
    applied_at, -- timestamp; 2022-01-03 10:28:00+00:00 to 2023-12-31 18:50:00+00:00
    customer_id, -- string
    branch, -- string; Surat, Guntur, Mysuru, Kochi
    product, -- string; crop, livestock, shop, tools
    amount_inr, -- integer; 1200 to 428100
    tenure_weeks, -- integer; 12 to 52
    monthly_income_inr, -- integer; 2400 to 87800
    bureau_score -- integer; 443 to 900
FROM applications
