//! Statements that need no binding, and those of our own.

use rotabase_queries::sql::{
    BeginWord, Bound, CopyFormat, CopyHeader, CopyTarget, Discard, Fetch, FetchDirection,
    Isolation, RoleName, Set, TransactionModes, Utility, bind, parse,
};

use super::{answer, catalog, settings};

fn bound(sql: &str) -> Bound {
    let catalog = catalog();
    let settings = settings(&catalog);
    bind(&catalog, &settings, &parse(sql).unwrap()[0], &[])
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn utility(sql: &str) -> Utility {
    match bound(sql) {
        Bound::Utility(utility) => utility,
        other => panic!("{sql}: {other:?}"),
    }
}

fn refused(sql: &str) -> String {
    let catalog = catalog();
    answer(&catalog, &settings(&catalog), sql)
}

fn set(name: &str, values: Option<&[&str]>, local: bool) -> Utility {
    let values = values.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
    Utility::Set(Set { name: name.to_owned(), values, local })
}

#[test]
fn transactions_take_all_their_modes() {
    let plain = TransactionModes::default();
    assert_eq!(utility("BEGIN"), Utility::Begin(plain, BeginWord::Begin));
    let modes = TransactionModes {
        isolation: Some(Isolation::Serializable),
        read_only: Some(true),
        deferrable: Some(true),
    };
    let sql = "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE";
    assert_eq!(utility(sql), Utility::Begin(modes, BeginWord::StartTransaction));
    let sql = "BEGIN WORK ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE";
    assert_eq!(utility(sql), Utility::Begin(modes, BeginWord::Begin));
    assert_eq!(
        utility(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY DEFERRABLE ,ISOLATION LEVEL SERIALIZABLE"
        ),
        Utility::SetSessionCharacteristics(modes)
    );
    assert_eq!(utility("COMMIT AND CHAIN"), Utility::Commit { chain: true });
    assert_eq!(utility("END"), Utility::Commit { chain: false });
    assert_eq!(utility("ABORT"), Utility::Rollback { chain: false });
    assert_eq!(utility("ROLLBACK WORK AND NO CHAIN"), Utility::Rollback { chain: false });
    assert_eq!(utility("ROLLBACK TO SAVEPOINT a"), Utility::RollbackTo("a".to_owned()));
    assert_eq!(utility("RELEASE a"), Utility::Release("a".to_owned()));
    assert_eq!(utility("SAVEPOINT \"A b\""), Utility::Savepoint("A b".to_owned()));
    assert_eq!(
        refused("PREPARE TRANSACTION 'x'"),
        "error 0A000 9 PREPARE TRANSACTION is not supported\n"
    );
    assert_eq!(refused("BEGIN ISOLATION"), "error 42601 7 syntax error at or near \"ISOLATION\"\n");
}

#[test]
fn settings_are_set_in_every_form() {
    assert_eq!(utility("SET TimeZone = 'UTC'"), set("timezone", Some(&["UTC"]), false));
    assert_eq!(utility("SET LOCAL a.b TO 1.5"), set("a.b", Some(&["1.5"]), true));
    assert_eq!(
        utility("SET SESSION search_path TO a, \"B\", 'c'"),
        set("search_path", Some(&["a", "B", "c"]), false)
    );
    assert_eq!(
        utility("SET extra_float_digits = -3"),
        set("extra_float_digits", Some(&["-3"]), false)
    );
    assert_eq!(utility("SET x TO DEFAULT"), set("x", None, false));
    assert_eq!(
        utility("SET TIME ZONE 'Europe/Berlin'"),
        set("timezone", Some(&["Europe/Berlin"]), false)
    );
    assert_eq!(utility("SET TIME ZONE LOCAL"), set("timezone", None, false));
    assert_eq!(
        utility("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE"),
        set("timezone", Some(&["INTERVAL '+02:00'"]), false)
    );
    assert_eq!(utility("SET NAMES 'UTF8'"), set("client_encoding", Some(&["UTF8"]), false));
    assert_eq!(
        utility("SET SESSION AUTHORIZATION DEFAULT"),
        set("session_authorization", None, false)
    );
    assert_eq!(utility("SET ROLE none"), set("role", Some(&["none"]), false));
    assert_eq!(
        utility("SET application_name TO on"),
        set("application_name", Some(&["on"]), false)
    );
    assert_eq!(utility("RESET ALL"), Utility::ResetAll);
    assert_eq!(utility("RESET TIME ZONE"), Utility::Reset("timezone".to_owned()));
    assert_eq!(
        utility("SHOW TRANSACTION ISOLATION LEVEL"),
        Utility::Show("transaction_isolation".to_owned())
    );
    assert_eq!(utility("SHOW rotabase.position"), Utility::Show("rotabase.position".to_owned()));
    assert_eq!(utility("DISCARD ALL"), Utility::Discard(Discard::All));
    assert_eq!(refused("SET x"), "error 42601 6 syntax error at end of input\n");
    assert_eq!(refused("SHOW"), "error 42601 5 syntax error at end of input\n");
}

#[test]
fn cursors_move_in_every_direction() {
    let fetch = |direction| Utility::Fetch(Fetch { cursor: "c".to_owned(), direction });
    assert_eq!(utility("FETCH c"), fetch(FetchDirection::Forward(1)));
    assert_eq!(utility("FETCH ALL c"), fetch(FetchDirection::Forward(i64::MAX)));
    assert_eq!(utility("FETCH NEXT c"), fetch(FetchDirection::Forward(1)));
    assert_eq!(utility("FETCH 5 FROM c"), fetch(FetchDirection::Forward(5)));
    assert_eq!(utility("FETCH -1 IN c"), fetch(FetchDirection::Forward(-1)));
    assert_eq!(utility("FETCH FORWARD 5 c"), fetch(FetchDirection::Forward(5)));
    assert_eq!(utility("FETCH BACKWARD ALL FROM c"), fetch(FetchDirection::Backward(i64::MAX)));
    assert_eq!(utility("FETCH LAST c"), fetch(FetchDirection::Absolute(-1)));
    assert_eq!(utility("FETCH ABSOLUTE 3 FROM c"), fetch(FetchDirection::Absolute(3)));
    assert_eq!(utility("FETCH RELATIVE -2 c"), fetch(FetchDirection::Relative(-2)));
    let moved = Fetch { cursor: "c".to_owned(), direction: FetchDirection::Forward(10) };
    assert_eq!(utility("MOVE 10 c"), Utility::Move(moved));
    assert_eq!(utility("CLOSE ALL"), Utility::Close(None));
    match bound("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT id FROM k") {
        Bound::DeclareCursor(declare) => {
            assert_eq!(
                (declare.name.as_str(), declare.scroll, declare.hold),
                ("c", Some(false), true)
            );
            assert_eq!(declare.query.plan.columns[0].name, "id");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn roles_and_privileges_are_read() {
    match utility("CREATE USER x WITH PASSWORD 'p' CREATEDB VALID UNTIL '2030-01-01' IN ROLE a, b")
    {
        Utility::CreateRole(role) => {
            assert_eq!(role.name, "x");
            assert_eq!(role.options.login, Some(true));
            assert_eq!(role.options.createdb, Some(true));
            assert_eq!(role.options.password, Some(Some("p".to_owned())));
            assert_eq!(role.options.in_roles.len(), 2);
        }
        other => panic!("{other:?}"),
    }
    match utility("GRANT SELECT, INSERT ON legs, public.rotations TO x, PUBLIC WITH GRANT OPTION") {
        Utility::Grant(grant) => {
            assert_eq!(grant.privileges.map(|all| all.len()), Some(2));
            assert_eq!(grant.roles, [RoleName::Name("x".to_owned()), RoleName::Public]);
            assert!(grant.grant && grant.grant_option);
        }
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(utility("REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA public FROM x"), Utility::Grant(grant) if !grant.grant)
    );
    assert!(matches!(utility("GRANT a TO b"), Utility::GrantRole(grant) if grant.granted == ["a"]));
    assert!(matches!(utility("ALTER ROLE x NOLOGIN PASSWORD NULL"), Utility::AlterRole { .. }));
    assert!(matches!(
        utility("DROP ROLE IF EXISTS a, b"),
        Utility::DropRole { if_exists: true, .. }
    ));
}

#[test]
fn copy_takes_both_forms_of_options() {
    for sql in [
        "COPY k (v, id) FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', FORCE_NULL (id))",
        "COPY k (v, id) FROM STDIN WITH CSV HEADER DELIMITER ';' FORCE NULL id",
    ] {
        match bound(sql) {
            Bound::CopyFrom(copy) => {
                assert_eq!(
                    (copy.options.format, copy.options.header),
                    (CopyFormat::Csv, CopyHeader::Present)
                );
                assert_eq!(copy.options.delimiter, b';');
                assert!(
                    matches!(copy.target, CopyTarget::Table { columns, .. } if columns == [1, 0])
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        matches!(bound("COPY ssim FROM STDIN"), Bound::CopyFrom(copy) if matches!(copy.target, CopyTarget::Ssim))
    );
    assert!(matches!(
        bound("COPY leg_rotations FROM STDIN (FORMAT csv, HEADER MATCH)"),
        Bound::CopyFrom(_)
    ));
    assert!(matches!(bound("COPY (SELECT 1) TO STDOUT WITH (FORMAT binary)"), Bound::CopyTo(_)));
    assert!(matches!(bound("COPY legs TO STDOUT"), Bound::CopyTo(_)));
    assert!(
        matches!(bound("COPY BINARY k TO STDOUT"), Bound::CopyTo(copy) if copy.options.format == CopyFormat::Binary)
    );
    assert!(matches!(
        bound("COPY (SUBSCRIBE TO events AFTER '0:1' WHERE shard = 1) TO STDOUT"),
        Bound::CopyTo(_)
    ));
    // Columns that the schedule computes are no part of the input.
    assert!(
        matches!(bound("COPY airports FROM STDIN"), Bound::CopyFrom(copy) if matches!(&copy.target, CopyTarget::Table { columns, .. } if *columns == [0, 1]))
    );
    let errors = [
        ("COPY k FROM STDIN (FORMAT xml)", "error 22023 27 COPY format \"xml\" not recognized"),
        (
            "COPY k FROM STDIN (FORMAT csv, FORMAT text)",
            "error 42601 32 conflicting or redundant options",
        ),
        (
            "COPY k FROM STDIN (ON_ERROR ignore)",
            "error 42601 20 option \"on_error\" not recognized",
        ),
        (
            "COPY k FROM STDIN (DELIMITER 'xx')",
            "error 0A000 - COPY delimiter must be a single one-byte character",
        ),
        ("COPY k FROM STDIN (QUOTE '\"')", "error 0A000 - COPY quote available only in CSV mode"),
        (
            "COPY k FROM '/etc/passwd'",
            "error 42501 - must be superuser or have privileges of the pg_read_server_files role to COPY from a file",
        ),
        ("COPY nosuch FROM STDIN", "error 42P01 6 relation \"nosuch\" does not exist"),
        (
            "COPY k (nosuch) FROM STDIN",
            "error 42703 9 column \"nosuch\" of relation \"k\" does not exist",
        ),
    ];
    for (sql, expected) in errors {
        assert_eq!(refused(sql).lines().next().unwrap(), expected, "{sql}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    let errors = [
        ("CREATE TABLE x (a int)", "error 0A000 1 CREATE TABLE is not supported"),
        ("CREATE INDEX i ON k (id)", "error 0A000 1 CREATE INDEX is not supported"),
        ("ALTER TABLE k ADD c int", "error 0A000 1 ALTER TABLE is not supported"),
        ("TRUNCATE k", "error 0A000 1 TRUNCATE is not supported"),
        ("LOCK TABLE k", "error 0A000 1 LOCK TABLE is not supported"),
        ("COMMENT ON TABLE k IS 'x'", "error 0A000 1 COMMENT is not supported"),
        (
            "SELECT * FROM k FOR SYSTEM_TIME AS OF '2020-01-01'",
            "error 0A000 15 FOR SYSTEM_TIME is not supported for relation \"k\"",
        ),
        ("SELECT * INTO x FROM k", "error 0A000 - SELECT INTO is not supported"),
        (
            "MERGE INTO k USING t ON true WHEN MATCHED THEN DELETE",
            "error 0A000 1 MERGE is not supported",
        ),
        (
            "UPDATE legs SET carrier = 'LH'",
            "error 0A000 17 column \"carrier\" of relation \"legs\" cannot be updated",
        ),
        (
            "UPDATE rotations SET id = NULL",
            "error 0A000 22 column \"id\" of relation \"rotations\" cannot be updated",
        ),
        (
            "UPDATE rotations SET legs = 1",
            "error 428C9 22 column \"legs\" can only be updated to DEFAULT",
        ),
        (
            "INSERT INTO pg_class DEFAULT VALUES",
            "error 42501 - permission denied: \"pg_class\" is a system catalog",
        ),
        ("FOO BAR", "error 42601 1 syntax error at or near \"FOO\""),
        ("123", "error 42601 1 syntax error at or near \"123\""),
    ];
    for (sql, expected) in errors {
        assert_eq!(refused(sql).lines().next().unwrap(), expected, "{sql}");
    }
}

#[test]
fn a_version_in_the_condition_is_given_to_the_aggregate() {
    match bound(
        "UPDATE airplanes SET aircraft_type = '320' WHERE registration = $1 AND version = $2",
    ) {
        Bound::Update(update) => {
            assert!(update.expected_version.is_some());
            let shown = format!("{:?}", update.source);
            assert!(
                !shown.contains("Parameter(1"),
                "the projection is not asked for the version: {shown}"
            );
        }
        other => panic!("{other:?}"),
    }
    match bound("DELETE FROM legs WHERE rotation_id = $1 AND 3 = version") {
        Bound::Delete(delete) => assert!(delete.expected_version.is_some()),
        other => panic!("{other:?}"),
    }
    match bound("DELETE FROM legs WHERE version = 3 OR version = 4") {
        Bound::Delete(delete) => assert!(delete.expected_version.is_none()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_statements_keep_their_places() {
    let statements = parse(" SELECT 1 ; ; -- nothing\n SELECT 'a;b' ;").unwrap();
    let texts: Vec<&str> = statements.iter().map(rotabase_queries::sql::Statement::text).collect();
    assert_eq!(texts, ["SELECT 1", "SELECT 'a;b'"]);
    assert!(parse(" -- nothing\n").unwrap()[0].is_empty());
    let error = parse("SELECT 1; SELECT * FORM k").unwrap_err();
    assert_eq!(error.position, Some(20));
}
