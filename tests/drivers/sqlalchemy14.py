"""SQLAlchemy: dialect start-up, reflection, Core statements and a mapped class."""
import datetime
import sys
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session, declarative_base

URL = f"127.0.0.1:{sys.argv[1]}/rotabase"
try:
    engine = sa.create_engine(f"postgresql+psycopg2://rotabase@{URL}", future=True)
    engine.connect().close()
except ImportError:
    import asyncio

    from sqlalchemy.ext.asyncio import create_async_engine

    engine = None

UTC = datetime.timezone.utc
Base = declarative_base()


class Rotation(Base):
    __tablename__ = "rotations"
    id = sa.Column(sa.dialects.postgresql.UUID(as_uuid=True), primary_key=True)
    name = sa.Column(sa.Text)
    version = sa.Column(sa.BigInteger, server_default=sa.FetchedValue())


class Airport(Base):
    __tablename__ = "airports"
    code = sa.Column(sa.Text, primary_key=True)


class Leg(Base):
    __tablename__ = "legs"
    id = sa.Column(sa.dialects.postgresql.UUID(as_uuid=True), primary_key=True)
    rotation_id = sa.Column(sa.dialects.postgresql.UUID(as_uuid=True), sa.ForeignKey("rotations.id"))
    carrier = sa.Column(sa.Text)
    flight_number = sa.Column(sa.Integer)
    day_of_origin = sa.Column(sa.Date)
    departure_airport = sa.Column(sa.Text)
    arrival_airport = sa.Column(sa.Text)
    departure_time = sa.Column(sa.DateTime(timezone=True))
    arrival_time = sa.Column(sa.DateTime(timezone=True))


def work(connection):
    """Reflection and Core, on a synchronous view of the connection."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    assert {"airports", "airplanes", "rotations", "legs"} <= tables, tables
    assert "continuity_violations" in inspector.get_view_names() + list(tables)
    columns = {column["name"]: column for column in inspector.get_columns("legs")}
    assert isinstance(columns["departure_time"]["type"], sa.types.TIMESTAMP) and columns["departure_time"]["type"].timezone
    assert inspector.get_pk_constraint("legs")["constrained_columns"] == ["id"]
    inspector.get_foreign_keys("legs")
    inspector.get_indexes("legs")
    inspector.get_unique_constraints("legs")
    inspector.get_check_constraints("legs")

    metadata = sa.MetaData()
    legs = sa.Table("legs", metadata, autoload_with=connection)
    count = connection.execute(sa.select(sa.func.count()).select_from(legs)).scalar_one()
    assert count == 8, count
    query = sa.select(legs.c.flight_number, legs.c.departure_time).where(legs.c.departure_airport == "FRA")
    rows = connection.execute(query.order_by(legs.c.flight_number)).all()
    assert rows and rows[0].departure_time.tzinfo is not None, rows


def mapped(connection):
    """The unit of work."""
    with Session(bind=connection, future=True) as session:
        rotation = Rotation(id=uuid.uuid4(), name="ORM")
        session.add(rotation)
        session.commit()
        assert rotation.version == 1, rotation.version
        rotation.name = "ORM 2"
        session.commit()
        assert session.get(Rotation, rotation.id).name == "ORM 2"
        session.delete(rotation)
        session.commit()
    several(connection)


def several(connection):
    """One flush over several tables; a savepoint; a row asked for with a lock."""
    with Session(bind=connection, future=True) as session:
        rotation = Rotation(id=uuid.uuid4(), name="ORM 3")
        session.add_all([rotation, Airport(code="SAA"), Airport(code="SBB")])
        session.flush()
        for hour in range(4):
            session.add(Leg(
                id=uuid.uuid4(), rotation_id=rotation.id, carrier="LH", flight_number=6000 + hour,
                day_of_origin=datetime.date(2026, 7, 1), departure_airport="SAA", arrival_airport="SBB",
                departure_time=datetime.datetime(2026, 7, 1, hour, tzinfo=UTC),
                arrival_time=datetime.datetime(2026, 7, 1, hour, 30, tzinfo=UTC)))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Airport(code="FRA"))
                session.flush()
            raise SystemExit("a duplicate was taken")
        except sa.exc.IntegrityError:
            pass
        session.commit()
        locked = session.execute(sa.select(Rotation).where(Rotation.id == rotation.id).with_for_update()).scalar_one()
        locked.name = "ORM 4"
        for leg in session.execute(sa.select(Leg).where(Leg.rotation_id == rotation.id)).scalars().all():
            leg.rotation_id = None
        session.commit()
        assert session.get(Rotation, rotation.id).name == "ORM 4"
        count = sa.select(sa.func.count()).select_from(Leg).where(Leg.flight_number >= 6000, Leg.rotation_id.is_(None))
        assert session.execute(count).scalar_one() == 4
        session.rollback()


if engine is not None:
    with engine.connect() as connection:
        work(connection)
        connection.rollback()
        mapped(connection)
else:
    async def main():
        engine = create_async_engine(f"postgresql+asyncpg://rotabase@{URL}")
        async with engine.connect() as connection:
            await connection.run_sync(work)
            await connection.rollback()
            await connection.run_sync(mapped)
        await engine.dispose()

    asyncio.run(main())
