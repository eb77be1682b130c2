//! Random SELECTs give what PostgreSQL 15 gives.
//!
//! `tests/data/random_select.tsv` holds, for each seed, how many rows PostgreSQL gave and a hash of them, or the
//! SQLSTATE. `ROTABASE_RECORD` records it anew, as for `tests/select`; with `ROTABASE_SEEDS=1000..2000` other seeds
//! are compared with that PostgreSQL directly.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;
#[path = "../../tests/src/random_select/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it belongs to the black-box tests, which publish it")]
mod random_select;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use random_select::random_select;
use rotabase_queries::optimize::optimize;

const SEEDS: std::ops::Range<u64> = 0..600;

/// The number of rows and their FNV-1a hash.
fn summary(rows: &[String]) -> String {
    if let [error] = rows
        && error.starts_with("ERROR")
    {
        return error.clone();
    }
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    for byte in rows.iter().flat_map(|row| row.bytes().chain([b'\n'])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    format!("{} {hash:016x}", rows.len())
}

fn rows_of_postgresql(conninfo: &str, query: &str) -> Vec<String> {
    common::comparable(query, common::record(conninfo, query).lines().map(str::to_owned).collect())
}

fn rows_of_ours(catalog: &rotabase_queries::catalog::Catalog, query: &str) -> Vec<String> {
    match common::query(catalog, query) {
        Ok(rows) => common::comparable(query, rows),
        Err(error) => vec![format!("ERROR {}", error.state.0)],
    }
}

#[test]
fn random_queries_give_what_postgresql_gives() {
    let catalog = common::catalog();
    let path = common::directory("data").join("random_select.tsv");
    let conninfo = std::env::var("ROTABASE_RECORD").ok();
    let mut failures = String::new();
    if let Some(conninfo) = &conninfo
        && let Ok(seeds) = std::env::var("ROTABASE_SEEDS")
    {
        let (first, last) = seeds.split_once("..").expect("ROTABASE_SEEDS=first..last");
        for seed in first.parse::<u64>().unwrap()..last.parse().unwrap() {
            let query = random_select(seed);
            let (expected, found) =
                (rows_of_postgresql(conninfo, &query), rows_of_ours(&catalog, &query));
            if expected != found {
                let error = common::query(&catalog, &query).err();
                let (expected, found) = (expected.join("\n"), found.join("\n"));
                writeln!(
                    failures,
                    "{seed}: {query}\nexpected:\n{expected}\nfound:\n{found}\n{error:?}\n"
                )
                .unwrap();
            }
        }
    } else if let Some(conninfo) = &conninfo {
        let lines = SEEDS.map(|seed| {
            format!("{seed}\t{}\n", summary(&rows_of_postgresql(conninfo, &random_select(seed))))
        });
        fs::write(&path, lines.collect::<String>()).unwrap();
    } else {
        let file = fs::read_to_string(&path).unwrap();
        let recorded: BTreeMap<u64, &str> = file
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(seed, summary)| (seed.parse().unwrap(), summary))
            .collect();
        assert!(recorded.len() >= 500);
        for (seed, expected) in recorded {
            let query = random_select(seed);
            let found = summary(&rows_of_ours(&catalog, &query));
            if found != expected {
                writeln!(failures, "{seed}: {query}\nexpected {expected}, found {found}\n")
                    .unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn optimising_random_queries_does_not_change_their_rows() {
    let catalog = common::catalog();
    let mut compared = 0;
    for seed in SEEDS {
        let query = random_select(seed);
        // As bound, a join is a product: of few tables it is soon done.
        if query.matches(" FROM ").count() + query.matches(" JOIN ").count() > 3 {
            continue;
        }
        compared += 1;
        let Ok(plan) = common::plan(&catalog, &query) else { continue };
        let as_bound = common::run(&Arc::new(plan.clone()), &common::context());
        let optimised = common::run(&Arc::new(optimize(plan)), &common::context());
        if let (Ok(as_bound), Ok(optimised)) = (as_bound, optimised) {
            assert_eq!(
                common::comparable(&query, as_bound),
                common::comparable(&query, optimised),
                "{seed}: {query}"
            );
        }
    }
    assert!(compared > 100, "{compared} queries are of few tables");
}
