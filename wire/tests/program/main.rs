//! The program from outside: its commands, its signals, its settings.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

fn rotabase() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotabase"));
    command.env_remove("ROTABASE_DATA").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    rotabase().args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Started {
    child: Child,
    line: String,
}

impl Started {
    fn new(data: &Path, arguments: &[&str]) -> Self {
        Self::spawn(
            rotabase()
                .args(["start", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .args(arguments)
                .arg("--data")
                .arg(data),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("it prints");
        Self { child, line }
    }

    fn port(&self) -> u16 {
        let (_, rest) =
            self.line.split_once("port=").unwrap_or_else(|| panic!("no port in {:?}", self.line));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a port")
    }

    fn psql(&self, sql: &str) -> Output {
        let conninfo = format!("host=127.0.0.1 port={} user=rotabase dbname=rotabase", self.port());
        Command::new("psql")
            .args(["-X", "-At", "-c", sql])
            .arg(conninfo)
            .output()
            .expect("psql is installed")
    }

    fn signal(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill").args([signal, &pid]).status().expect("kill is there").success()
        );
        let status = self.child.wait().expect("it ends");
        let mut errors = String::new();
        let _ = self.child.stderr.take().expect("piped").read_to_string(&mut errors);
        (status.code(), errors)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn start_makes_the_directory_prints_one_line_and_stops_cleanly() {
    let directory = directory();
    let data = directory.path().join("deep/data");
    for signal in ["-TERM", "-INT"] {
        let started = Started::new(&data, &[]);
        assert!(started.line.starts_with("psql \"host=127.0.0.1 port="), "{}", started.line);
        assert!(started.line.contains("user=rotabase dbname=rotabase\""), "{}", started.line);
        assert_eq!(text(&started.psql("SHOW server_version").stdout).get(..3), Some("15."));
        let http: u16 = fs::read_to_string(data.join("http.port")).unwrap().trim().parse().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", http)).is_ok());
        let (status, errors) = started.signal(signal);
        assert_eq!(status, Some(0), "{errors}");
        assert!(!data.join("http.port").exists());
    }
    assert!(data.join("rotabase.toml").exists());
}

#[test]
fn a_second_process_on_a_directory_is_refused() {
    let directory = directory();
    let _first = Started::new(directory.path(), &[]);
    for command in ["start", "verify", "rebuild"] {
        let mut arguments = vec![command, "--data", directory.path().to_str().unwrap()];
        if command == "start" {
            arguments.extend(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        }
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(
            text(&output.stderr).contains("in use by another process"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn flags_override_the_environment_and_that_the_file() {
    let directory = directory();
    fs::write(
        directory.path().join("rotabase.toml"),
        "connections_max = 1\nlog_level = \"warn\"\n",
    )
    .unwrap();
    let output = run(&["start", "--data", directory.path().to_str().unwrap()]);
    assert!(text(&output.stderr).contains("connections_reserved"), "{}", text(&output.stderr));
    let mut command = rotabase();
    command.args([
        "start",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--set",
        "connections_reserved=0",
    ]);
    command.arg("--data").arg(directory.path()).env("ROTABASE_CONNECTIONS_MAX", "1");
    let started = Started::spawn(&mut command);
    assert!(started.psql("SHOW server_version").status.success());
}

#[test]
fn unknown_settings_are_named() {
    let directory = directory();
    fs::write(directory.path().join("rotabase.toml"), "colour = 1\n").unwrap();
    let data = directory.path().to_str().unwrap().to_owned();
    let output = run(&["start", "--data", &data]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("colour"), "{}", text(&output.stderr));
    fs::remove_file(directory.path().join("rotabase.toml")).unwrap();
    let output = run(&["start", "--data", &data, "--set", "colour=1"]);
    assert!(text(&output.stderr).contains("colour"), "{}", text(&output.stderr));
    let output =
        rotabase().args(["start", "--data", &data]).env("ROTABASE_COLOUR", "1").output().unwrap();
    assert!(text(&output.stderr).contains("ROTABASE_COLOUR"), "{}", text(&output.stderr));
    assert!(!directory.path().join("log").exists(), "nothing was made");
}

#[test]
fn init_makes_a_database_once_and_verify_and_rebuild_leave_it_sound() {
    let directory = directory();
    let data = directory.path().join("data").to_str().unwrap().to_owned();
    for command in ["verify", "rebuild"] {
        let output = run(&[command, "--data", &data]);
        assert!(text(&output.stderr).contains("there is no database"), "{}", text(&output.stderr));
    }
    assert!(run(&["init", "--data", &data, "--shards", "3"]).status.success());
    assert!(!run(&["init", "--data", &data]).status.success());
    for command in ["verify", "rebuild", "verify"] {
        let output = run(&[command, "--data", &data]);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", text(&output.stderr));
    }
}

#[test]
fn a_port_in_use_is_said() {
    let directory = directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        run(&["start", "--data", directory.path().to_str().unwrap(), "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&format!("could not listen on {address}")),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_demo_shows_violations_and_leaves_nothing_behind() {
    let temporary = directory();
    let mut command = rotabase();
    command
        .args(["demo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .env("TMPDIR", temporary.path());
    let started = Started::spawn(&mut command);
    let output = started.psql("SELECT kind FROM schedule_violations");
    let kinds = text(&output.stdout);
    let count = |kind| kinds.lines().filter(|line| *line == kind).count();
    assert_eq!(
        ["continuity", "ground_time", "designator"].map(count),
        [3, 4, 2],
        "{}",
        text(&output.stderr)
    );
    let (status, errors) = started.signal("-INT");
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn who_connects_where_is_checked() {
    let directory = directory();
    let started = Started::new(directory.path(), &[]);
    let created = started.psql("CREATE ROLE anna LOGIN PASSWORD 'secret'");
    assert!(created.status.success(), "{}", text(&created.stderr));
    for (user, password, database, heard) in [
        ("anna", "secret", "rotabase", "anna"),
        ("anna", "wrong", "rotabase", "password authentication failed for user \"anna\""),
        ("nobody", "", "rotabase", "role \"nobody\" does not exist"),
        ("rotabase", "", "elsewhere", "database \"elsewhere\" does not exist"),
    ] {
        let conninfo =
            format!("host=127.0.0.1 port={} user={user} dbname={database}", started.port());
        let mut psql = Command::new("psql");
        psql.args(["-X", "-At", "-c", "SELECT current_user"])
            .arg(conninfo)
            .env("PGPASSWORD", password);
        let output = psql.output().expect("psql is installed");
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(said.contains(heard), "{said}");
    }
}

#[test]
fn logs_can_be_json() {
    let directory = directory();
    let started = Started::new(directory.path(), &["--log-format", "json"]);
    let (_, errors) = started.signal("-TERM");
    let line =
        errors.lines().find(|line| line.contains("accepting connections")).expect("it is logged");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
}

#[test]
fn the_version_is_printed() {
    assert_eq!(
        text(&run(&["version"]).stdout),
        concat!("rotabase ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
