-- The tables of the contract, as PostgreSQL has to have them to be compared with.
SET timezone = 'UTC';
CREATE TABLE airports (code text PRIMARY KEY, minimum_ground_time interval NOT NULL, version int8 NOT NULL);
CREATE TABLE airplanes (
    registration text PRIMARY KEY, aircraft_type text, minimum_ground_time interval NOT NULL, rotation_id uuid,
    version int8 NOT NULL);
CREATE TABLE rotations (
    id uuid PRIMARY KEY, name text, legs int8 NOT NULL, first_departure timestamptz, last_arrival timestamptz,
    version int8 NOT NULL);
CREATE TABLE legs (
    id uuid PRIMARY KEY, rotation_id uuid, carrier text NOT NULL, flight_number int4 NOT NULL, suffix text NOT NULL,
    day_of_origin date NOT NULL, departure_airport text NOT NULL, arrival_airport text NOT NULL,
    departure_time timestamptz NOT NULL, arrival_time timestamptz NOT NULL, departure_utc_offset int4 NOT NULL,
    arrival_utc_offset int4 NOT NULL, leg_sequence int4 NOT NULL, itinerary_variation int4 NOT NULL,
    service_type text NOT NULL, aircraft_type text, version int8 NOT NULL);
\copy airports FROM 'airports.tsv'
\copy airplanes FROM 'airplanes.tsv'
\copy rotations FROM 'rotations.tsv'
\copy legs FROM 'legs.tsv'
