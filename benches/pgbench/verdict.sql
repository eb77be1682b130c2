-- Is the schedule good? The three checks over all of it.
SELECT (SELECT count(*) FROM continuity_violations), (SELECT count(*) FROM ground_time_violations), (SELECT count(*) FROM designator_violations);
