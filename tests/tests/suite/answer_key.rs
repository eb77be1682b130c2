//! A generated schedule with planted violations gives exactly its answer key.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rotabase_tests::server::Server;
use rotabase_tests::tool;
use serde_json::Value;

fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `carrier flight_number suffix departure_airport day_of_origin` of a leg.
fn designator(leg: &Value) -> String {
    ["carrier", "flight_number", "suffix", "departure_airport", "day_of_origin"]
        .map(|key| text(leg, key))
        .join(" ")
}

/// The lines of a query.
fn lines(server: &Server, query: &str) -> BTreeSet<String> {
    server.psql(query).expect_success().lines().map(str::to_owned).collect()
}

const DESIGNATOR: &str = "concat_ws(' ', {}.carrier, {}.flight_number, {}.suffix, {}.departure_airport, {}.day_of_origin)";

fn designator_of(alias: &str) -> String {
    DESIGNATOR.replace("{}", alias)
}

fn expected(key: &Value, kind: &str, line: impl Fn(&Value) -> Vec<String>) -> BTreeSet<String> {
    key["violations"][kind].as_array().unwrap().iter().flat_map(line).collect()
}

#[test]
fn planted_violations_are_found_and_no_others() {
    let generator = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("../../shared/tools/make_ssim.py");
    if !generator.exists() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let arguments =
        ["--out", out, "--legs", "20000", "--airplanes", "60", "--seed", "7", "--violations", "20"];
    tool::run(Command::new(tool::python()).arg(generator).args(arguments), "").expect_success();
    let key: Value = serde_json::from_str(
        &std::fs::read_to_string(directory.path().join("answer_key.json")).unwrap(),
    )
    .unwrap();

    let server = Server::start();
    let csv = "with (format csv, header)";
    let load = server.psql(&format!(
        "\\copy ssim from '{out}/schedule.ssim'\n\\copy airports from '{out}/load_airports.csv' {csv}\n\
         \\copy airplanes from '{out}/load_airplanes.csv' {csv}\n\\copy leg_rotations from '{out}/rotations.csv' {csv}\n\
         \\copy airplane_rotations from '{out}/airplane_rotations.csv' {csv}\n"
    ));
    let counts =
        ["dated_legs", "airports", "airplanes", "dated_legs_in_rotations", "rotations_assigned"]
            .map(|name| format!("COPY {}\n", key["counts"][name]));
    assert_eq!(load.expect_success(), counts.concat());

    let (leg, next) = (designator_of("l"), designator_of("n"));
    let continuity = lines(
        &server,
        &format!(
            "SELECT r.name || ': ' || {leg} || ' ' || v.arrival_airport || ' - ' || {next} || ' ' || v.next_departure_airport \
             FROM continuity_violations v JOIN rotations r ON r.id = v.rotation_id \
             JOIN legs l ON l.id = v.leg_id JOIN legs n ON n.id = v.next_leg_id;"
        ),
    );
    let pair = |it: &Value| {
        let (leg, next) = (&it["previous_leg"], &it["next_leg"]);
        let (from, to) = (text(leg, "arrival_airport"), text(next, "departure_airport"));
        vec![format!(
            "{}: {} {from} - {} {to}",
            text(it, "rotation_id"),
            designator(leg),
            designator(next)
        )]
    };
    assert_eq!(continuity, expected(&key, "continuity", pair));

    let ground_time = lines(
        &server,
        &format!(
            "SELECT r.name || ': ' || {leg} || ' - ' || {next} || ' ' || concat_ws(' ', v.registration, v.airport, \
             (extract(epoch FROM v.ground_time) / 60)::int, (extract(epoch FROM v.required) / 60)::int, v.required_by) \
             FROM ground_time_violations v JOIN rotations r ON r.id = v.rotation_id \
             JOIN legs l ON l.id = v.leg_id JOIN legs n ON n.id = v.next_leg_id;"
        ),
    );
    let pair = |it: &Value| {
        let facts =
            ["registration", "airport", "ground_minutes", "required_minutes", "required_by"];
        let facts = facts.map(|key| text(it, key)).join(" ");
        let (leg, next) = (designator(&it["previous_leg"]), designator(&it["next_leg"]));
        vec![format!("{}: {leg} - {next} {facts}", text(it, "rotation_id"))]
    };
    assert_eq!(ground_time, expected(&key, "ground_time", pair));

    let shared = lines(
        &server,
        &format!(
            "SELECT {} || ' - ' || l.arrival_airport || ' ' || to_char(l.departure_time, 'YYYY-MM-DD\"T\"HH24:MI\"Z\"') \
             FROM designator_violations v JOIN legs l ON l.id = v.leg_id;",
            designator_of("v")
        ),
    );
    let group = |it: &Value| {
        let legs = it["legs"].as_array().unwrap().iter();
        legs.map(|leg| {
            format!(
                "{} - {} {}",
                designator(it),
                text(leg, "arrival_airport"),
                text(leg, "departure_utc")
            )
        })
        .collect()
    };
    assert_eq!(shared, expected(&key, "duplicate_designator", group));
    assert_eq!(
        lines(&server, "SELECT count(*) FROM schedule_violations;"),
        BTreeSet::from(["80".to_owned()])
    );
}
