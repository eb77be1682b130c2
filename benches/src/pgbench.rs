//! Runs pgbench and reads what it says.

use std::path::Path;
use std::process::Command;

use rotabase_tests::tool;

/// What a run of pgbench says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Transactions per second, without connecting.
    pub(crate) tps: f64,
    /// Transactions that were done.
    pub(crate) transactions: u64,
}

/// Whether it is there.
pub(crate) fn is_installed() -> bool {
    let mut pgbench = Command::new(tool::postgres_program("pgbench"));
    pgbench.arg("--version").output().is_ok_and(|it| it.status.success())
}

/// Runs a script with some clients for some seconds.
pub(crate) fn run(
    conninfo: &str,
    script: &Path,
    clients: u32,
    seconds: u32,
    variables: &[(&str, u64)],
) -> Run {
    let mut command = Command::new(tool::postgres_program("pgbench"));
    command.args(["-n", "-M", "prepared", "-j", "2"]);
    command.args(["-c", &clients.to_string(), "-T", &seconds.to_string()]);
    for (name, value) in variables {
        command.arg("-D").arg(format!("{name}={value}"));
    }
    command.arg("-f").arg(script);
    let values = conninfo.split(' ').filter_map(|pair| pair.split_once('='));
    for (name, value) in values {
        match name {
            "host" => drop(command.args(["-h", value])),
            "port" => drop(command.args(["-p", value])),
            "user" => drop(command.args(["-U", value])),
            "dbname" => drop(command.arg(value)),
            _ => {}
        }
    }
    let out = tool::run(&mut command, "").expect_success();
    Run { tps: after(&out, "tps = "), transactions: count(&out) }
}

fn after(out: &str, label: &str) -> f64 {
    let start = out.find(label).unwrap_or_else(|| panic!("no \"{label}\" in {out}")) + label.len();
    let end = out[start..].find(' ').map_or(out.len(), |length| start + length);
    out[start..end].parse().expect("a number")
}

fn count(out: &str) -> u64 {
    let label = "number of transactions actually processed: ";
    let start = out.find(label).unwrap_or_else(|| panic!("no count in {out}")) + label.len();
    let end = out[start..]
        .find(|it: char| !it.is_ascii_digit())
        .map_or(out.len(), |length| start + length);
    out[start..end].parse().expect("a number")
}
