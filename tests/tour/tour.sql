\set ON_ERROR_STOP on
\set QUIET on
\pset null '(none)'
\set QUIET off
\echo == a schedule from an SSIM file, and what SSIM does not say from CSV
\copy ssim from 'tests/data/ssim/example_local.ssim'
\copy airports from 'tests/tour/airports.csv' with (format csv, header)
\copy airplanes from 'tests/tour/airplanes.csv' with (format csv, header)
\copy leg_rotations from 'tests/tour/leg_rotations.csv' with (format csv, header)
\copy airplane_rotations from 'tests/tour/airplane_rotations.csv' with (format csv, header)
\echo == a second flight with a designator that is taken
INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
  VALUES ('RB', 905, '2026-11-02', 'FRA', 'MUC', '2026-11-02 21:15Z', '2026-11-02 22:10Z');
\echo == what validation finds
SELECT kind, detail FROM schedule_violations ORDER BY kind, detail;
SELECT name, registration, airport, ground_time, required, required_by
  FROM ground_time_violations JOIN rotations ON rotations.id = rotation_id ORDER BY name;
\echo == mend one: leave Delhi half an hour later
UPDATE legs SET departure_time = departure_time + interval '30 minutes', arrival_time = arrival_time + interval '30 minutes'
  WHERE carrier = 'RB' AND flight_number = 145 AND departure_airport = 'DEL' AND day_of_origin = '2026-11-02';
SELECT count(*) AS ground_time_violations_left FROM ground_time_violations;
