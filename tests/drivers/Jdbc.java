import java.sql.*;
import java.time.OffsetDateTime;
import java.util.UUID;

/** JDBC: start-up, metadata, prepared statements until the driver names them, batches, fetch size, COPY. */
public class Jdbc {
    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/rotabase?user=rotabase";
        try (Connection connection = DriverManager.getConnection(url)) {
            metadata(connection.getMetaData());
            UUID rotation = UUID.randomUUID();
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO rotations (id, name) VALUES (?, ?)")) {
                insert.setObject(1, rotation);
                insert.setString(2, "J1");
                check(insert.executeUpdate() == 1, "one rotation");
            }
            legs(connection, rotation);
            failures(connection, rotation);
            batches(connection);
            block(connection, rotation);
            several(connection, url);
        }
    }

    static int airports(Connection connection, String like) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT count(*) FROM airports WHERE code LIKE ?")) {
            select.setString(1, like);
            try (ResultSet rows = select.executeQuery()) {
                rows.next();
                return rows.getInt(1);
            }
        }
    }

    /** A batch is sent as one pipeline: all of it or nothing. */
    static void batches(Connection connection) throws SQLException {
        for (String[] codes : new String[][] {{"BAA", "BBB", "BAA"}, {"BAA", "BBB"}}) {
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO airports (code) VALUES (?)")) {
                for (String code : codes) {
                    insert.setString(1, code);
                    insert.addBatch();
                }
                insert.executeBatch();
                check(codes.length == 2, "a duplicate was taken");
            } catch (BatchUpdateException error) {
                check(codes.length == 3 && "23505".equals(error.getSQLState()), error.toString());
            }
            check(airports(connection, "B%") == (codes.length == 2 ? 2 : 0), "the batch as a whole");
        }
    }

    /** Autocommit off: several aggregates, savepoints, COPY, isolation, read-only, and who was faster. */
    static void several(Connection connection, String url) throws Exception {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("INSERT INTO airports (code) VALUES ('CAA'), ('CBB')");
            Savepoint savepoint = connection.setSavepoint("here");
            try {
                statement.executeUpdate("INSERT INTO airports (code) VALUES ('CCC'), ('CAA')");
                throw new AssertionError("a duplicate was taken");
            } catch (SQLException error) {
                connection.rollback(savepoint);
            }
            connection.releaseSavepoint(savepoint);
            connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI()
                .copyIn("COPY airports (code) FROM STDIN", new java.io.StringReader("CDD\nCEE\n"));
            statement.executeUpdate("UPDATE airplanes SET aircraft_type = '321'");
        }
        check(airports(connection, "C%") == 4, "its own");
        connection.commit();
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        try (Connection other = DriverManager.getConnection(url)) {
            for (int attempt = 0; attempt < 2; attempt++) {
                check(airports(connection, "CA%") == 1, "there");
                try (Statement statement = connection.createStatement(); Statement faster = other.createStatement()) {
                    statement.executeUpdate("UPDATE airports SET minimum_ground_time = '1 hour' WHERE code = 'CBB'");
                    if (attempt == 0) faster.executeUpdate("UPDATE airports SET minimum_ground_time = '2 hours' WHERE code = 'CAA'");
                    connection.commit();
                    check(attempt == 1, "a clash was not noticed");
                } catch (SQLException error) {
                    check(attempt == 0 && "40001".equals(error.getSQLState()), error.toString());
                    connection.rollback();
                }
            }
        }
        connection.setReadOnly(true);
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("DELETE FROM airports");
            throw new AssertionError("a read-only transaction wrote");
        } catch (SQLException error) {
            check("25006".equals(error.getSQLState()), error.toString());
        }
        connection.rollback();
    }

    static void metadata(DatabaseMetaData data) throws SQLException {
        check(data.getDatabaseMajorVersion() == 15, "version");
        int tables = 0;
        try (ResultSet rows = data.getTables(null, "public", "%", new String[] {"TABLE"})) {
            while (rows.next()) tables++;
        }
        check(tables >= 4, tables + " tables");
        int columns = 0;
        try (ResultSet rows = data.getColumns(null, "public", "legs", "%")) {
            while (rows.next()) columns++;
        }
        check(columns == 17, columns + " columns");
        try (ResultSet rows = data.getPrimaryKeys(null, "public", "legs")) {
            check(rows.next() && rows.getString("COLUMN_NAME").equals("id"), "primary key");
        }
        try (ResultSet rows = data.getIndexInfo(null, "public", "legs", false, false)) {
            check(rows.next(), "an index");
        }
        data.getImportedKeys(null, "public", "legs").close();
        data.getSchemas().close();
        data.getTypeInfo().close();
    }

    static void legs(Connection connection, UUID rotation) throws SQLException {
        String sql = "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, "
            + "departure_time, arrival_time) VALUES (?, 'LH', ?, ?, 'FRA', 'MUC', ?, ?)";
        try (PreparedStatement insert = connection.prepareStatement(sql)) {
            for (int number = 0; number < 12; number++) {
                OffsetDateTime departure = OffsetDateTime.parse("2026-05-01T08:00:00Z").plusHours(number);
                insert.setObject(1, rotation);
                insert.setInt(2, 4000 + number);
                insert.setDate(3, Date.valueOf("2026-05-01"));
                insert.setObject(4, departure);
                insert.setObject(5, departure.plusMinutes(30));
                if (number < 6) check(insert.executeUpdate() == 1, "one leg");
                else insert.addBatch();
            }
            check(insert.executeBatch().length == 6, "a batch");
        }
        String query = "SELECT id, flight_number, departure_time, day_of_origin FROM legs WHERE flight_number >= ? ORDER BY 2";
        try (PreparedStatement select = connection.prepareStatement(query)) {
            // After five executions the driver names the statement and asks for binary results.
            for (int turn = 0; turn < 8; turn++) {
                select.setInt(1, 4000);
                try (ResultSet rows = select.executeQuery()) {
                    int count = 0;
                    while (rows.next()) {
                        check(rows.getInt(2) == 4000 + count, "flight number");
                        check(rows.getObject(1) instanceof UUID, "id");
                        OffsetDateTime departure = OffsetDateTime.parse("2026-05-01T08:00:00Z").plusHours(count);
                        check(rows.getObject(3, OffsetDateTime.class).isEqual(departure), "departure");
                        count++;
                    }
                    check(count == 12, count + " legs");
                }
            }
        }
    }

    static void failures(Connection connection, UUID rotation) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO rotations (id) VALUES (?)")) {
            insert.setObject(1, rotation);
            insert.executeUpdate();
            throw new AssertionError("a duplicate was taken");
        } catch (SQLException error) {
            check("23505".equals(error.getSQLState()), error.toString());
        }
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b");
            throw new AssertionError("the statement ended");
        } catch (SQLException error) {
            check("57014".equals(error.getSQLState()), error.toString());
        }
    }

    static void block(Connection connection, UUID rotation) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement update = connection.prepareStatement("UPDATE rotations SET name = ? WHERE id = ?")) {
            update.setString(1, "J2");
            update.setObject(2, rotation);
            check(update.executeUpdate() == 1, "one row");
        }
        connection.rollback();
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(5);
            int count = 0;
            try (ResultSet rows = statement.executeQuery("SELECT name FROM rotations, generate_series(1, 4) ORDER BY 1")) {
                while (rows.next()) {
                    check(!"J2".equals(rows.getString(1)), "rolled back");
                    count++;
                }
            }
            check(count == 12, count + " rows");
        }
        connection.commit();
    }
}
