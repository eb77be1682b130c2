"""psycopg 3: notifications between sessions, and of violations."""
import json
import sys

import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as listener, psycopg.connect(sys.argv[1], autocommit=True) as planner:
    listener.execute("LISTEN schedule_violations")
    listener.execute("LISTEN planners")
    planner.execute("INSERT INTO rotations (id) VALUES ('00000000-0000-4000-8000-000000000001')")
    insert = ("INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport,"
              " departure_time, arrival_time) VALUES ('00000000-0000-4000-8000-000000000001', 'LH', %s, '2026-03-29', %s, %s, %s, %s)")
    planner.execute(insert, (1, "FRA", "MUC", "2026-03-29 08:00Z", "2026-03-29 09:00Z"))
    planner.execute(insert, (2, "JFK", "FRA", "2026-03-29 12:00Z", "2026-03-29 21:00Z"))
    notifications = listener.notifies()
    found = next(notifications)
    violation = json.loads(found.payload)
    assert found.channel == "schedule_violations" and list(violation) == ["kind", "rotation_id", "leg_id", "other_leg_id", "detail"]
    assert violation["kind"] == "continuity" and "LH1" in violation["detail"], violation
    planner.execute("SELECT pg_notify('planners', %s)", ("done",))
    found = next(notifications)
    assert (found.channel, found.payload, found.pid) == ("planners", "done", planner.info.backend_pid), found
    notifications.close()
    listener.execute("UNLISTEN *")
    assert listener.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
