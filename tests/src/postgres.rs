//! A PostgreSQL 15 process of a test's own, to compare with.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tool::{self, Printed};

/// A running PostgreSQL with an empty database.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    /// Its port.
    pub port: u16,
}

impl Postgres {
    /// One that is started if PostgreSQL is installed.
    pub fn find() -> Option<Self> {
        let mut initdb = Command::new(tool::postgres_program("initdb"));
        let found = initdb.arg("--version").output().is_ok_and(|it| it.status.success());
        found.then(Self::start)
    }

    /// The process that has started all others.
    pub fn pid(&self) -> u32 {
        let file = self.directory.path().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("it runs");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a process id")
    }

    /// Makes a cluster in a temporary directory and starts it. As root it is run by the user `postgres`,
    /// since PostgreSQL refuses to run as root.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|it| it.local_addr())
            .expect("a free port")
            .port();
        if is_root() {
            run("chown", &["postgres", path(directory.path())]);
        }
        let data = directory.path().join("data");
        as_postgres(
            "initdb",
            &["-D", path(&data), "-U", "rotabase", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            path(directory.path())
        );
        let log = directory.path().join("log");
        as_postgres(
            "pg_ctl",
            &["-D", path(&data), "-o", &options, "-l", path(&log), "-w", "start"],
        );
        let postgres = Self { directory, port };
        let url = format!("host=127.0.0.1 port={port} user=rotabase dbname=postgres");
        tool::run(Command::new("psql").args(["-X", &url, "-c", "create database rotabase"]), "")
            .expect_success();
        postgres
    }

    /// A connection string of libpq.
    pub fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=rotabase dbname=rotabase", self.port)
    }

    /// Runs psql over a script, unaligned; stops at the first error.
    pub fn psql(&self, script: &str) -> Printed {
        tool::run(
            Command::new("psql").args(["-X", &self.conninfo(), "-v", "ON_ERROR_STOP=1", "-At"]),
            script,
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let mut command = command("pg_ctl", &["-D", path(&data), "-m", "immediate", "stop"]);
        let _ = command.output();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id is there");
    output.stdout.trim_ascii() == b"0"
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let program = tool::postgres_program(program);
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(arguments).current_dir("/");
    command
}

fn as_postgres(program: &str, arguments: &[&str]) {
    let status = command(program, arguments).stdout(std::process::Stdio::null()).status();
    let status = status.unwrap_or_else(|error| {
        panic!("could not run {program}: {error}. Install: {}", tool::PACKAGES)
    });
    assert!(status.success(), "{program} failed");
}

fn run(program: &str, arguments: &[&str]) {
    assert!(
        Command::new(program).args(arguments).status().is_ok_and(|it| it.success()),
        "{program} failed"
    );
}
