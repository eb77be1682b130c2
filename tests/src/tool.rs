//! Other programs: psql, pgbench, the languages of the drivers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The packages of Debian that the tests use beside Rust's toolchain; the README's test command installs them.
pub const PACKAGES: &str = "postgresql-15 python3-psycopg python3-sqlalchemy python3-asyncpg libpostgresql-jdbc-java \
    default-jdk-headless";

/// What a program printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Whether it succeeded.
    pub success: bool,
}

impl Printed {
    /// The standard output of a program that must have succeeded.
    pub fn expect_success(self) -> String {
        assert!(
            self.success,
            "the program failed\n--- output\n{}\n--- errors\n{}",
            self.out, self.err
        );
        self.out
    }
}

/// Runs a program to its end with `input` on its standard input.
pub fn run(command: &mut Command, input: &str) -> Printed {
    use std::io::Write as _;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("could not run {program}: {error}. Install: {PACKAGES}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that ends early does not read all of it.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("the program was started");
    writer.join().expect("the writer does not panic");
    printed(&output)
}

fn printed(output: &Output) -> Printed {
    Printed {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        success: output.status.success(),
    }
}

/// A program of PostgreSQL 15, wherever Debian or another system puts it.
pub fn postgres_program(name: &str) -> PathBuf {
    let debian = Path::new("/usr/lib/postgresql/15/bin").join(name);
    if debian.exists() { debian } else { PathBuf::from(name) }
}

/// The Python that Debian's packages belong to.
pub fn python() -> PathBuf {
    let debian = PathBuf::from("/usr/bin/python3");
    if debian.exists() { debian } else { PathBuf::from("python3") }
}
