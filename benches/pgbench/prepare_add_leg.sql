-- psql -v clients=64 -f prepare_add_leg.sql: the rotations that add_leg.sql adds legs to.
INSERT INTO rotations (id, name)
SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(c * 1000 + r), 12, '0'))::uuid, 'R' || c || '-' || r
FROM generate_series(0, :clients - 1) c, generate_series(0, 999) r;
