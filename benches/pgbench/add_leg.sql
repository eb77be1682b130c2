-- One durable command: add a leg to a rotation. Each client adds to rotations of its own, in time order, so that
-- no two legs overlap. Prepare with: psql -v clients=64 -f prepare_add_leg.sql
\set r random(0, 999)
\set slot :slot + 1
INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
VALUES (('00000000-0000-4000-8000-' || lpad(to_hex(:client_id * 1000 + :r), 12, '0'))::uuid, 'LH', :r + 1, '2026-01-01', 'FRA', 'MUC',
  timestamptz '2026-01-01 00:00Z' + interval '1 minute' * :slot, timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * :slot);
