"""psycopg 3: parameters, binary results, server-side cursors, COPY, pipelines, errors."""
import datetime
import sys
import uuid

import psycopg

UTC = datetime.timezone.utc

with psycopg.connect(sys.argv[1]) as connection:
    connection.autocommit = True
    rotation = uuid.uuid4()
    connection.execute("INSERT INTO rotations (id, name) VALUES (%s, %s)", (rotation, "R9"))
    leg = connection.execute(
        "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport,"
        " departure_time, arrival_time) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, version",
        (rotation, "LH", 4000, datetime.date(2026, 5, 1), "FRA", "MUC",
         datetime.datetime(2026, 5, 1, 8, tzinfo=UTC), datetime.datetime(2026, 5, 1, 9, tzinfo=UTC))).fetchone()
    assert isinstance(leg[0], uuid.UUID) and leg[1] == 2, leg

    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            cursor.execute(
                "SELECT id, flight_number, day_of_origin, arrival_time - departure_time, rotation_id, suffix, version, NULL"
                " FROM legs WHERE id = %s", (leg[0],), prepare=True)
            row = cursor.fetchone()
            assert row == (leg[0], 4000, datetime.date(2026, 5, 1), datetime.timedelta(hours=1), rotation, "", 2, None), row
            cursor.execute("SELECT array_agg(flight_number ORDER BY flight_number) FROM legs WHERE flight_number = ANY(%s)",
                           ([1, 2, 4000],))
            assert cursor.fetchone() == ([1, 2, 4000],)

    try:
        connection.execute("INSERT INTO rotations (id) VALUES (%s)", (rotation,))
        raise SystemExit("a duplicate was taken")
    except psycopg.errors.UniqueViolation as error:
        assert str(rotation) in str(error)

    with connection.transaction():
        connection.execute("UPDATE rotations SET name = %s WHERE id = %s", ("R10", rotation))
    assert connection.execute("SELECT name FROM rotations WHERE id = %s", (rotation,)).fetchone() == ("R10",)

    with connection.transaction():
        with connection.cursor(name="few") as cursor:
            cursor.itersize = 3
            cursor.execute("SELECT flight_number FROM legs ORDER BY 1")
            assert [row[0] for row in cursor] == [1, 2, 3, 4, 5, 6, 7, 8, 4000]

    with connection.cursor() as cursor:
        with cursor.copy("COPY airports (code, minimum_ground_time) FROM STDIN") as copy:
            copy.write_row(("AAA", "1 hour"))
            copy.write_row(("BBB", None or "2 hours"))
        with cursor.copy("COPY airports (code, minimum_ground_time) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "interval"])
            copy.write_row(("CCC", datetime.timedelta(minutes=40)))
        with cursor.copy("COPY (SELECT code FROM airports WHERE code < 'D' ORDER BY code) TO STDOUT") as copy:
            assert [row[0] for row in copy.rows()] == ["AAA", "BBB", "CCC"]

    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int4 + 1", (number,)) for number in range(10)]
    assert [cursor.fetchone()[0] for cursor in cursors] == list(range(1, 11))

    payload = connection.execute("SELECT payload, metadata FROM events WHERE event_type = 'LegAdded' LIMIT 1").fetchone()
    assert payload[0]["carrier"] == "LH" and payload[1]["user"] == "rotabase", payload


# The default mode: a transaction begins with the first statement and ends with commit().
LEG = ("INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport,"
       " departure_time, arrival_time) VALUES (%s, 'LH', %s, '2026-06-01', 'FRA', 'MUC', %s, %s)")


def times(hour):
    return datetime.datetime(2026, 6, 1, hour, tzinfo=UTC), datetime.datetime(2026, 6, 1, hour, 50, tzinfo=UTC)


with psycopg.connect(sys.argv[1]) as connection, psycopg.connect(sys.argv[1], autocommit=True) as other:
    other.execute("SET rotabase.consistency = 'strong'")

    def there(code):
        return other.execute("SELECT count(*) FROM airports WHERE code = %s", (code,)).fetchone() == (1,)

    first, second = uuid.uuid4(), uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO rotations (id, name) VALUES (%s, %s)", [(first, "D1"), (second, "D2")])
        cursor.executemany(LEG, [(rotation, 5000 + hour, *times(hour)) for hour in range(6) for rotation in (first, second)])
        cursor.execute("UPDATE legs SET rotation_id = NULL WHERE rotation_id = %s AND flight_number < 5003", (second,))
        assert cursor.rowcount == 3, cursor.rowcount
        with cursor.copy("COPY airports (code, minimum_ground_time) FROM STDIN") as copy:
            copy.write_row(("DDD", "1 hour"))
            copy.write_row(("EEE", "2 hours"))
        assert cursor.execute("SELECT count(*), count(rotation_id) FROM legs WHERE flight_number >= 5000").fetchone() == (12, 9)
    assert not there("DDD")
    connection.commit()
    assert there("DDD") and there("EEE")

    connection.execute("INSERT INTO airports (code) VALUES ('XXX')")
    connection.rollback()
    assert not there("XXX")

    # Blocks in blocks are savepoints.
    with connection.transaction():
        connection.execute("INSERT INTO airports (code) VALUES ('SAA')")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO airports (code) VALUES ('SBB')")
                connection.execute("INSERT INTO airports (code) VALUES ('SAA')")
        except psycopg.errors.UniqueViolation:
            pass
        with connection.transaction(force_rollback=True):
            connection.execute("INSERT INTO airports (code) VALUES ('SCC')")
        connection.execute("INSERT INTO airports (code) VALUES ('SDD')")
    assert [there(code) for code in ("SAA", "SBB", "SCC", "SDD")] == [True, False, False, True]

    # Somebody else was faster: repeat.
    for attempt in range(2):
        name = connection.execute("SELECT name FROM rotations WHERE id = %s FOR UPDATE", (first,)).fetchone()[0]
        if attempt == 0:
            other.execute("UPDATE rotations SET name = 'changed' WHERE id = %s", (first,))
        connection.execute("UPDATE airports SET minimum_ground_time = '3 hours' WHERE code = 'DDD'")
        try:
            connection.commit()
            assert attempt == 1 and name == "changed"
        except psycopg.errors.SerializationFailure as error:
            assert attempt == 0 and "changed" in error.diag.message_detail, error.diag.message_detail

    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    assert connection.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
    connection.commit()
    connection.read_only = True
    try:
        connection.execute("INSERT INTO airports (code) VALUES ('XXX')")
        raise SystemExit("a read-only transaction wrote")
    except psycopg.errors.ReadOnlySqlTransaction:
        connection.rollback()

    # What a pipeline holds up to its end is one transaction.
    try:
        with other.pipeline():
            other.execute("INSERT INTO airports (code) VALUES ('PAA')")
            other.execute("INSERT INTO airports (code) VALUES ('PBB')")
            other.execute("INSERT INTO airports (code) VALUES ('PAA')")
        raise SystemExit("a duplicate was taken")
    except psycopg.errors.UniqueViolation:
        pass
    assert not there("PAA") and not there("PBB")
    with other.pipeline():
        other.execute("INSERT INTO airports (code) VALUES ('PAA')")
        other.execute("INSERT INTO airports (code) VALUES ('PBB')")
    assert there("PAA") and there("PBB")
