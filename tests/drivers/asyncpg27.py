"""asyncpg: binary parameters and results, introspection of types, cursors, COPY, errors."""
import asyncio
import datetime
import sys
import uuid

import asyncpg

UTC = datetime.timezone.utc


async def main():
    connection = await asyncpg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="rotabase", database="rotabase")
    rotation = uuid.uuid4()
    await connection.execute("INSERT INTO rotations (id, name) VALUES ($1, $2)", rotation, "A1")
    leg = await connection.fetchrow(
        "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport,"
        " departure_time, arrival_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
        rotation, "LH", 4000, datetime.date(2026, 5, 1), "FRA", "MUC",
        datetime.datetime(2026, 5, 1, 8, tzinfo=UTC), datetime.datetime(2026, 5, 1, 9, tzinfo=UTC))
    assert leg["rotation_id"] == rotation and leg["day_of_origin"] == datetime.date(2026, 5, 1), leg
    assert leg["departure_time"] == datetime.datetime(2026, 5, 1, 8, tzinfo=UTC), leg

    values = await connection.fetchrow(
        "SELECT $1::int8, $2::numeric, $3::float8, $4::bool, $5::text[], $6::interval, $7::jsonb, $8::bytea",
        2**40, __import__("decimal").Decimal("1.50"), 0.5, True, ["a", None], datetime.timedelta(hours=1), '{"a": 1}', b"\x00x")
    assert tuple(values)[:6] == (2**40, __import__("decimal").Decimal("1.50"), 0.5, True, ["a", None],
                                 datetime.timedelta(hours=1)), values
    assert values[6] == '{"a": 1}' and values[7] == b"\x00x", values

    async with connection.transaction():
        numbers = [row["flight_number"] async for row in connection.cursor("SELECT flight_number FROM legs ORDER BY 1")]
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 8, 4000], numbers

    await connection.copy_records_to_table(
        "airports", records=[("AAA", datetime.timedelta(hours=1)), ("BBB", datetime.timedelta(hours=2))],
        columns=["code", "minimum_ground_time"])
    assert await connection.fetchval("SELECT count(*) FROM airports WHERE code < 'C'") == 2

    try:
        await connection.execute("INSERT INTO rotations (id) VALUES ($1)", rotation)
        raise SystemExit("a duplicate was taken")
    except asyncpg.UniqueViolationError:
        pass
    try:
        await connection.fetch("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b", timeout=0.2)
        raise SystemExit("the statement ended")
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 1") == 1
    await transactions(connection)
    await connection.close()


async def transactions(connection):
    """Blocks, blocks in blocks, COPY in a block."""
    codes = "SELECT array_agg(code ORDER BY code) FROM airports WHERE code LIKE 'T%'"
    for isolation in ("read_committed", "repeatable_read", "serializable"):
        async with connection.transaction(isolation=isolation):
            await connection.executemany("INSERT INTO rotations (name) VALUES ($1)", [("T1",), ("T2",), ("T3",)])
            await connection.copy_records_to_table("airports", records=[("TAA",), ("TBB",)], columns=["code"])
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO airports (code) VALUES ('TCC')")
                    await connection.execute("INSERT INTO airports (code) VALUES ('TAA')")
            except asyncpg.UniqueViolationError:
                pass
            await connection.execute("INSERT INTO airports (code) VALUES ('TDD')")
            assert await connection.fetchval(codes) == ["TAA", "TBB", "TDD"]
        assert await connection.fetchval(codes) == ["TAA", "TBB", "TDD"]
        assert await connection.execute("DELETE FROM airports WHERE code LIKE 'T%'") == "DELETE 3"
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO airports (code) VALUES ('TAA')")
            raise KeyError
    except KeyError:
        pass
    assert await connection.fetchval(codes) is None
    try:
        async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
            await connection.execute("INSERT INTO airports (code) VALUES ('TAA')")
        raise SystemExit("a read-only transaction wrote")
    except asyncpg.ReadOnlySQLTransactionError:
        pass


asyncio.run(main())
