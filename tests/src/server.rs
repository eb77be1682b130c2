//! A Rotabase process of a test's own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use crate::tool::{self, Printed};

/// How long a server may take until it accepts connections, and a client until it is done.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running server. Its directory goes with it, unless the test keeps it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The PostgreSQL port.
    pub port: u16,
    /// The HTTP port.
    pub http: u16,
    /// Where it is reached.
    host: String,
    /// What has to be added to connection strings.
    more: String,
    data: PathBuf,
    directory_kept: Option<TempDir>,
}

impl Server {
    /// A server on a new directory.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let mut server = Self::start_on(&data, &[]);
        server.directory_kept = Some(directory);
        server
    }

    /// A server on a new directory with a single shard.
    pub fn start_on_one_shard() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let mut init = Command::new(binary());
        init.args(["init", "--shards", "1", "--data"]).arg(&data);
        tool::run(&mut init, "").expect_success();
        let mut server = Self::start_on(&data, &[]);
        server.directory_kept = Some(directory);
        server
    }

    /// A server on a directory, with more arguments.
    pub fn start_on(data: &Path, arguments: &[&str]) -> Self {
        Self::try_start_on(data, arguments)
            .unwrap_or_else(|printed| panic!("the server did not start: {printed}"))
    }

    /// A server on a directory, or what it printed instead of starting.
    pub fn try_start_on(data: &Path, arguments: &[&str]) -> Result<Self, String> {
        Self::try_start_at(0, data, arguments)
    }

    /// A server on a directory and on a port, or what it printed instead of starting.
    pub fn try_start_at(port: u16, data: &Path, arguments: &[&str]) -> Result<Self, String> {
        Self::try_launch(Command::new(binary()), "127.0.0.1", port, data, arguments)
    }

    /// A server that a program of the caller's starts, listening on an address and a port, or what it printed instead
    /// of starting.
    pub fn try_launch(
        mut program: Command,
        host: &str,
        port: u16,
        data: &Path,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let (listen, http) = (format!("{host}:{port}"), format!("{host}:0"));
        let mut child = program
            .args(["start", "--listen", &listen, "--http", &http, "--data"])
            .arg(data)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let (line, errors) = (first_line(&mut child), errors(&mut child));
        let Some(line) = line else {
            let status = child.wait().expect("it was started");
            return Err(format!("{status}: {}", errors.join().unwrap_or_default()));
        };
        let port = number_after(&line, "port=").unwrap_or_else(|| panic!("no port in {line:?}"));
        let http = std::fs::read_to_string(data.join("http.port"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        let (host, more, data) = (host.to_owned(), String::new(), data.to_owned());
        Ok(Self { child, port, http, host, more, data, directory_kept: None })
    }

    /// The same server, reached elsewhere and with more in connection strings.
    #[must_use]
    pub fn reached_at(mut self, host: &str, more: &str) -> Self {
        host.clone_into(&mut self.host);
        more.clone_into(&mut self.more);
        self
    }

    /// Where a replica finds it.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The status line and the body of an HTTP answer.
    pub fn http(&self, path: &str) -> (String, String) {
        use std::io::Write as _;
        let mut socket =
            std::net::TcpStream::connect((self.host.as_str(), self.http)).expect("HTTP port");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        let status = answer.lines().next().unwrap_or_default().to_owned();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection string of libpq.
    pub fn conninfo(&self) -> String {
        let Self { host, port, more, .. } = self;
        format!("host={host} port={port} user=rotabase dbname=rotabase{more}")
    }

    /// Runs psql over a script, unaligned and without a start-up file; stops at the first error.
    pub fn psql(&self, script: &str) -> Printed {
        self.psql_with(&["-v", "ON_ERROR_STOP=1", "-At"], script)
    }

    /// Runs psql with arguments over a script. Each run is a session of its own, so it reads what was acknowledged to
    /// others only with strong consistency.
    pub fn psql_with(&self, arguments: &[&str], script: &str) -> Printed {
        let conninfo = format!("{} options='-c rotabase.consistency=strong'", self.conninfo());
        tool::run(Command::new("psql").arg("-X").arg(conninfo).args(arguments), script)
    }

    /// A connection of tokio-postgres, driven by the current runtime.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.conninfo(), tokio_postgres::NoTls)
            .await
            .expect("the server accepts connections");
        tokio::spawn(connection);
        client
    }

    /// Kills it, as a power cut would end the process.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started");
    }

    /// Asks it to stop, and returns its exit status.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        self.child.wait().expect("it was started")
    }
}

impl Server {
    /// Keeps the temporary directory of a killed server on which this one was started.
    pub fn take_over(&mut self, killed: &mut Self) {
        self.directory_kept = killed.directory_kept.take();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary that the workspace has built: beside a program of the workspace, or above a test.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its path");
    let directories = own.ancestors().skip(1).take(2); // target/<profile>[/deps]
    let mut binaries = directories.map(|directory| directory.join("rotabase"));
    binaries.find(|binary| binary.is_file()).unwrap_or_else(|| {
        let own = own.display();
        panic!("no rotabase near {own}: run `cargo build` or `cargo test --workspace`")
    })
}

/// The line that tells how to connect; none if the process ended or took too long.
fn first_line(child: &mut Child) -> Option<String> {
    let out = child.stdout.take().expect("piped");
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.contains("port=") {
                let _ = send.send(line.clone());
            }
            line.clear();
        }
    });
    receive.recv_timeout(DEADLINE).ok()
}

/// Gathers what the process logs, so that its pipe never fills up.
fn errors(child: &mut Child) -> std::thread::JoinHandle<String> {
    let mut err = child.stderr.take().expect("piped");
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.read_to_string(&mut text);
        text
    })
}

fn number_after(line: &str, label: &str) -> Option<u16> {
    let rest = &line[line.find(label)? + label.len()..];
    let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
