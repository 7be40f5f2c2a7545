-- The rows to predict: flights scheduled to leave two to three hours after the batch, one row a flight.
-- Sees only the rows of one drop; `batch` has one row: batch_date, batch_at, previous_batch_at.
SELECT
    schedule.flight_id AS example_id,       -- local date, carrier, flight number, origin
    schedule.carrier,                       -- IATA code of the marketing carrier
    schedule.flight_number,
    schedule.origin,                        -- EWR, JFK or LGA
    schedule.dest,
    schedule.scheduled_departure_at,
    schedule.scheduled_arrival_at,
    schedule.distance_mi,
    assignments.tail_number,                -- the aircraft it is planned with; null where none is named
    hour(timezone('America/New_York', schedule.scheduled_departure_at)) AS departure_hour,  -- local, 0 to 23
    count(*) OVER (PARTITION BY schedule.origin) AS origin_hour_departures  -- congestion, as the schedule says it
FROM schedule LEFT JOIN assignments USING (flight_id)
