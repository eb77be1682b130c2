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
