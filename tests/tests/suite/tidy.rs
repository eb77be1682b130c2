//! Rules of the tree that can be read off its files, as `src/tidy.zig` of `TigerBeetle` keeps its own.

use std::path::{Path, PathBuf};

/// What a crate may use of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("raft", &["rotabase-engine"]),
    ("queries", &["rotabase-engine"]),
    ("wire", &["rotabase-engine", "rotabase-raft", "rotabase-queries"]),
];

/// The one home of each foreign idea: the crate and the words that betray it.
const HOMES: &[(&str, &[&str])] = &[
    ("engine", &["rocksdb::"]),
    ("raft", &["openraft::"]),
    ("queries", &["sqlparser::"]),
    ("wire", &["pgwire::", "postgres_protocol::", "axum::"]),
];

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 750;

fn root() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .parent()
        .expect("a crate of the workspace")
        .to_owned()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.map(|entry| entry.expect("a readable directory").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|it| it == "rs") {
            found.push(entry);
        }
    }
    found.sort();
}

fn sources_of(crate_name: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(&root().join(crate_name).join("src"), &mut found);
    assert!(!found.is_empty(), "{crate_name} has sources");
    found
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).expect("UTF-8")))
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let ours = ["rotabase-engine", "rotabase-raft", "rotabase-queries", "rotabase"];
    for (name, may_use) in MAY_USE {
        let manifest =
            std::fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let allowed = !ours.contains(&dependency) || may_use.contains(&dependency);
            assert!(allowed || line.starts_with("name"), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn each_foreign_library_has_one_home() {
    for (name, _) in MAY_USE {
        for (path, text) in sources_of(name) {
            for (home, words) in HOMES.iter().filter(|(home, _)| home != name) {
                for word in *words {
                    assert!(
                        !text.contains(word),
                        "{} names {word}, which belongs to {home}",
                        path.display()
                    );
                }
            }
        }
    }
    for (path, text) in sources_of("engine") {
        let at_home = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("db"))
            || path.parent().is_some_and(|it| it.ends_with("db"));
        assert!(
            at_home || !text.contains("rocksdb::"),
            "{} names rocksdb; only db does",
            path.display()
        );
    }
    for (path, text) in sources_of("queries") {
        let at_home = path.components().any(|it| it.as_os_str() == "sql");
        assert!(
            at_home || !text.contains("sqlparser::"),
            "{} names sqlparser; only sql does",
            path.display()
        );
    }
}

#[test]
fn the_schedule_knows_no_storage() {
    for (path, text) in sources_of("engine") {
        if path.components().any(|it| it.as_os_str() == "schedule") {
            for word in ["crate::db", "crate::log", "crate::writer", "std::fs", "std::time"] {
                assert!(!text.contains(word), "{} names {word}", path.display());
            }
        }
    }
}

#[test]
fn time_and_randomness_are_passed_in() {
    for name in ["engine", "raft", "queries"] {
        for (path, text) in sources_of(name) {
            // The runtime's clock comes with the runtime: a simulation has its own.
            let text = text.replace("tokio::time::Instant::now", "");
            for word in
                ["SystemTime::now", "Instant::now", "Uuid::new_v4", "Uuid::now_v7", "getrandom::"]
            {
                assert!(!text.contains(word), "{} names {word}", path.display());
            }
        }
    }
}

#[test]
fn files_are_short() {
    for (name, _) in MAY_USE {
        for (path, text) in sources_of(name) {
            let lines = text.lines().count();
            assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
        }
    }
}

/// Several checkouts may share a target directory. A program that was compiled in one of them is fresh in another as
/// long as their sources are the same, and must not look for its files where the first was.
#[test]
fn programs_ask_where_their_files_are() {
    let mut found = Vec::new();
    let crates = MAY_USE.iter().map(|(name, _)| *name).chain(["benches", "tests"]);
    crates.for_each(|name| sources(&root().join(name), &mut found));
    let word = concat!("env!(\"CARGO_MANIFEST", "_DIR\")");
    for path in found {
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        assert!(!text.contains(word), "{} is told where it was compiled", path.display());
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (name, _) in MAY_USE {
        for (path, text) in sources_of(name) {
            for word in ["todo!(", "unimplemented!(", "FIXME"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
        }
    }
}
