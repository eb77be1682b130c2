"""psycopg 3: a subscription, read row by row with types, and given up."""
import json
import sys

import psycopg

COLUMNS = ["int4", "int8", "text", "text", "int8", "text", "int4", "jsonb", "jsonb", "timestamptz"]

for sql in ("COPY (SUBSCRIBE TO events) TO STDOUT", "COPY (SUBSCRIBE TO events) TO STDOUT (FORMAT binary)"):
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        events = []
        try:
            with connection.cursor().copy(sql) as copy:
                copy.set_types(COLUMNS)
                for row in copy.rows():
                    if row[0] == -1:
                        assert row[5] == "heartbeat" and row[1] is None and ":" in row[8]["position"], row
                        connection.cancel()
                        continue
                    events.append(row)
            raise SystemExit("the subscription has ended by itself")
        except psycopg.errors.QueryCanceled:
            pass
        # Three airports, a rotation and its four legs.
        assert len(events) == 8, events
        assert sorted(row[5] for row in events)[0] == "AirportRegistered"
        assert all(row[8]["user"] == "rotabase" and row[9].year > 2000 for row in events)
        assert connection.execute("SELECT 1").fetchone() == (1,)
