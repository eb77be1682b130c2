//! What psql has to show of a table.

use super::database::Database;

#[test]
fn tables_and_views_are_listed_apart() {
    let database = Database::new();
    let of_kind = |kind: char| {
        database.rows(&format!(
            "SELECT relname FROM pg_class WHERE relkind = '{kind}' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        ))
    };
    assert_eq!(of_kind('r'), ["airplanes", "airports", "events", "legs", "rotations"]);
    assert_eq!(
        of_kind('v'),
        [
            "airplane_history",
            "airport_history",
            "continuity_violations",
            "designator_violations",
            "ground_time_violations",
            "leg_history",
            "planned",
            "rotation_history",
            "schedule_violations"
        ]
    );
}

#[test]
fn columns_have_their_types_and_defaults() {
    let rows = Database::new().rows(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                (SELECT pg_get_expr(d.adbin, d.adrelid, true) FROM pg_attrdef d
                 WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef)
         FROM pg_attribute a WHERE a.attrelid = 'legs'::regclass AND a.attnum > 0 ORDER BY a.attnum LIMIT 5",
    );
    let expected = [
        "id|uuid|t|gen_random_uuid()",
        "rotation_id|uuid|f|",
        "carrier|text|t|",
        "flight_number|integer|t|",
        "suffix|text|t|''::text",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn keys_and_indexes_are_written_as_sql() {
    let database = Database::new();
    let indexes = database.rows(
        "SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index WHERE indrelid = 'legs'::regclass ORDER BY indexrelid LIMIT 2",
    );
    let expected = [
        "CREATE UNIQUE INDEX legs_pkey ON public.legs USING btree (id)",
        "CREATE INDEX legs_rotation_id_departure_time_idx ON public.legs USING btree (rotation_id, departure_time)",
    ];
    assert_eq!(indexes, expected);
    let constraints = database.rows(
        "SELECT conname, pg_get_constraintdef(oid, true), confrelid::regclass FROM pg_constraint
         WHERE conrelid = 'legs'::regclass ORDER BY contype DESC",
    );
    let expected = [
        "legs_pkey|PRIMARY KEY (id)|-",
        "legs_rotation_id_fkey|FOREIGN KEY (rotation_id) REFERENCES rotations(id) ON DELETE SET NULL|rotations",
    ];
    assert_eq!(constraints, expected);
}

#[test]
fn a_view_has_columns_and_a_query() {
    let database = Database::new();
    let columns = database
        .rows("SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'planned'::regclass ORDER BY attnum");
    assert_eq!(columns, ["id|uuid", "carrier|text"]);
    let query = database.rows("SELECT pg_get_viewdef('planned'::regclass, true)");
    assert_eq!(query, [" SELECT id, carrier FROM legs;"]);
}

#[test]
fn grants_are_shown() {
    let acl = Database::new()
        .rows("SELECT array_to_string(relacl, E'\\n') FROM pg_class WHERE relname = 'legs'");
    assert_eq!(acl, ["rotabase=arwdDxt/rotabase\nplanner=rw/rotabase"]);
}
