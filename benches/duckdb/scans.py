"""Answers the queries of the part `scans` with DuckDB, over the same rows as the others.

scans.py DIRECTORY: loads legs.csv, airports.csv and airplanes.csv and prints DuckDB's version. Then each line of the
input is a query, and each line of the output an object: the milliseconds it took, and its rows as psql -At prints
them. The rows stand in memory, and a query takes all cores that DuckDB takes by itself; there is no client.
"""

import datetime
import json
import pathlib
import sys
import time

import duckdb

TABLES = {
    "legs": "id UUID, rotation_id UUID, carrier VARCHAR, flight_number INTEGER, suffix VARCHAR, day_of_origin DATE, "
    "departure_airport VARCHAR, arrival_airport VARCHAR, departure_time TIMESTAMP, arrival_time TIMESTAMP",
    "airports": "code VARCHAR, minimum_ground_time INTERVAL",
    "airplanes": "registration VARCHAR, minimum_ground_time INTERVAL, rotation_id UUID",
}


def text(value):
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}+00"
    return str(value)


def answer(line):
    print(json.dumps(line), flush=True)


def main():
    directory = pathlib.Path(sys.argv[1])
    database = duckdb.connect()
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
        file = directory / f"{table}.csv"
        database.execute(f"COPY {table} FROM '{file}' (FORMAT csv, HEADER false, ALLOW_QUOTED_NULLS false)")
    answer(duckdb.__version__)
    for query in sys.stdin:
        start = time.perf_counter()
        rows = database.execute(query).fetchall()
        milliseconds = (time.perf_counter() - start) * 1000
        answer({"milliseconds": milliseconds, "rows": ["|".join(map(text, row)) for row in rows]})


main()
