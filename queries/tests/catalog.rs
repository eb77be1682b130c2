//! What tools ask of the catalog: statements recorded from psql, JDBC, SQLAlchemy, asyncpg and others run against
//! the virtual relations, and what the most used of them have to answer.

mod catalog {
    mod corpus;
    mod database;
    mod psql;
    mod system;
}
