-- One look-up by key. -D rotations=… says how many rotations prepare_add_leg.sql has made.
\set r random(0, :rotations - 1)
SELECT id, name, legs FROM rotations WHERE id = ('00000000-0000-4000-8000-' || lpad(to_hex(:r::int), 12, '0'))::uuid;
