\set r random(0, :rotations - 1)
SELECT id, name FROM rotations WHERE id = md5('rotation-' || :r / 1000 || '-' || (:r % 1000 + 1))::uuid;
