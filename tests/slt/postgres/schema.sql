-- The tables of the contract as plain tables of PostgreSQL, empty.
DROP TABLE IF EXISTS airports, airplanes, rotations, legs CASCADE;
CREATE TABLE airports (
    code text PRIMARY KEY, minimum_ground_time interval NOT NULL DEFAULT '0', version int8 NOT NULL DEFAULT 1);
CREATE TABLE rotations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, legs int8 NOT NULL DEFAULT 0, first_departure timestamptz,
    last_arrival timestamptz, version int8 NOT NULL DEFAULT 1);
CREATE TABLE airplanes (
    registration text PRIMARY KEY, aircraft_type text, minimum_ground_time interval NOT NULL DEFAULT '0',
    rotation_id uuid REFERENCES rotations, version int8 NOT NULL DEFAULT 1);
CREATE TABLE legs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), rotation_id uuid REFERENCES rotations, carrier text NOT NULL,
    flight_number int4 NOT NULL CHECK (flight_number BETWEEN 1 AND 9999), suffix text NOT NULL DEFAULT '',
    day_of_origin date NOT NULL, departure_airport text NOT NULL, arrival_airport text NOT NULL,
    departure_time timestamptz NOT NULL, arrival_time timestamptz NOT NULL, departure_utc_offset int4 NOT NULL DEFAULT 0,
    arrival_utc_offset int4 NOT NULL DEFAULT 0, leg_sequence int4 NOT NULL DEFAULT 1,
    itinerary_variation int4 NOT NULL DEFAULT 1, service_type text NOT NULL DEFAULT 'J', aircraft_type text,
    version int8 NOT NULL DEFAULT 1, CHECK (arrival_time > departure_time));
