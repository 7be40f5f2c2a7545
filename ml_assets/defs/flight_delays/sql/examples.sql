-- The rows to predict: the flights of today's published schedule, one row a flight.
-- Sees only the rows of one drop; `batch` has one row: batch_date, batch_at, previous_batch_at.
SELECT
    flight_id AS example_id,                -- local date, carrier, flight number, origin
    carrier,                                -- IATA code of the marketing carrier
    flight_number,
    origin,                                 -- EWR, JFK or LGA
    dest,
    scheduled_departure_at,
    scheduled_arrival_at,
    distance_mi,
    hour(timezone('America/New_York', scheduled_departure_at)) AS departure_hour,  -- local, 0 to 23
    -- congestion, as the schedule itself says it
    count(*) OVER (PARTITION BY origin, date_trunc('hour', scheduled_departure_at)) AS origin_hour_departures,
    count(*) OVER (PARTITION BY origin) AS origin_day_departures,
    count(*) OVER (PARTITION BY carrier, origin) AS carrier_origin_day_departures,
    count(*) OVER (PARTITION BY origin, dest) AS route_day_departures
FROM schedule
