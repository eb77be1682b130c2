-- One durable statement: add 100 legs to a rotation. Prepare with: psql -v clients=64 -f prepare_add_leg.sql; -D slot=0
-- says from which minute on.
\set r random(0, 999)
\set slot :slot + 100
INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(:client_id * 1000 + :r), 12, '0'))::uuid, 'LH', g, '2026-01-01', 'FRA', 'MUC',
  timestamptz '2026-01-01 00:00Z' + interval '1 minute' * (:slot + g), timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * (:slot + g)
FROM generate_series(1, 100) g;
