//! Names as values, privileges, settings, and what runs.

use rotabase_queries::error::SqlState;
use rotabase_queries::exec::RequestedSetting;

use super::database::Database;

#[test]
fn objects_are_found_by_name_and_named_by_oid() {
    let database = Database::new();
    let rows = database.rows(
        "SELECT 'legs'::regclass::oid, 16410::regclass, 'pg_catalog.pg_class'::regclass, 'rotabase.shards'::regclass,
                'legs_pkey'::regclass::oid, 'public'::regnamespace::oid, to_regclass('nothing'), 'rotabase'::regrole::oid, 10::regrole",
    );
    assert_eq!(rows, ["16410|legs|pg_class|rotabase.shards|16411|2200||10|rotabase"]);
    let error = database.query("SELECT 'nothing'::regclass").unwrap_err();
    assert_eq!(error.state, SqlState::UNDEFINED_TABLE);
    assert_eq!(error.message, "relation \"nothing\" does not exist");
}

#[test]
fn privileges_are_those_that_were_granted() {
    let query = "SELECT has_table_privilege('legs', 'select'), has_table_privilege('legs', 'DELETE, UPDATE'),
                        has_table_privilege('legs', 'delete'), has_table_privilege('rotations', 'select'),
                        has_table_privilege('pg_class', 'select'), has_schema_privilege('public', 'create')";
    let database = Database::new();
    assert_eq!(database.rows(query), ["t|t|t|t|t|t"]);
    assert_eq!(database.of("planner").rows(query), ["t|t|f|f|t|f"]);
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(database.of("planner").rows(tables), ["legs"]);
    let error = database.query("SELECT has_table_privilege('legs', 'fly')").unwrap_err();
    assert_eq!(error.state, SqlState::INVALID_PARAMETER_VALUE);
}

#[test]
fn set_config_leaves_its_change_to_the_session() {
    let database = Database::new();
    assert_eq!(database.rows("SELECT set_config('application_name', 'tour', true)"), ["tour"]);
    assert_eq!(database.rows("SELECT current_setting('application_name')"), ["tour"]);
    let requested = database.settings().requested.take();
    let expected = RequestedSetting {
        name: "application_name".to_owned(),
        value: Some("tour".to_owned()),
        local: true,
    };
    assert_eq!(requested, [expected]);
    let error = database.query("SELECT current_setting('nothing')").unwrap_err();
    assert_eq!(error.state, SqlState::UNDEFINED_OBJECT);
    assert_eq!(database.rows("SELECT current_setting('nothing', true) IS NULL"), ["t"]);
}

#[test]
fn operators_see_what_runs() {
    let database = Database::new();
    assert_eq!(database.rows("SELECT shard, leading, last_index FROM rotabase.shards"), ["0|t|9"]);
    assert_eq!(database.rows("SELECT pid, state FROM pg_stat_activity"), ["7|active"]);
    assert_eq!(
        database.rows("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1"),
        ["planner|f", "rotabase|t"]
    );
    assert_eq!(database.rows("SELECT setting FROM rotabase.settings WHERE name = 'jit'"), ["off"]);
}

#[test]
fn every_virtual_relation_can_be_read_in_full() {
    let database = Database::new();
    let names = database.rows(
        "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'v') AND oid < 16384 ORDER BY oid",
    );
    assert!(names.len() > 200);
    for name in names {
        let answer = database.query(&format!("SELECT * FROM {name}"));
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
}

#[test]
fn types_and_functions_refer_to_each_other() {
    let database = Database::new();
    let dangling = database.rows(
        "SELECT t.typname FROM pg_type t LEFT JOIN pg_proc p ON p.oid = t.typreceive
         WHERE t.typreceive <> 0 AND p.oid IS NULL",
    );
    assert_eq!(dangling, Vec::<String>::new());
    let arrays = database.rows(
        "SELECT a.typname FROM pg_type a JOIN pg_type e ON e.oid = a.typelem
         WHERE a.typname LIKE '\\_%' AND e.typarray <> a.oid",
    );
    assert_eq!(arrays, Vec::<String>::new());
    let operators = database.rows(
        "SELECT o.oprname FROM pg_operator o LEFT JOIN pg_proc p ON p.oid = o.oprcode WHERE p.oid IS NULL",
    );
    assert_eq!(operators, Vec::<String>::new());
}
