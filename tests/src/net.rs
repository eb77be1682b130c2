//! A network of this machine's own, whose parts can be cut off from each other: Linux network namespaces, one for each
//! host and one for the switches between them.
//!
//! ```text
//! test ── clients' switch ── every host
//!          peers' switch 0 ── hosts of one side
//!          peers' switch 1 ── hosts of the other side, while there is a partition
//! ```
//!
//! Hosts talk to each other over the peers' network; the test reaches each of them over the clients', whatever is cut
//! there. Nothing is told that a link is gone: what is sent is lost, as on a real network.
//!
//! Making namespaces needs root. What is made here carries this process's id in its name, and only that is deleted.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::tool;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Hosts, and the switches between them.
#[derive(Debug)]
pub struct Net {
    name: String,
    /// The middle of all addresses.
    subnet: (u32, u32),
    hosts: Vec<u8>,
    switches: usize,
}

fn ip(arguments: &str) -> Result<(), String> {
    let mut program = Command::new("ip");
    let output = program.args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn must(arguments: &str) {
    ip(arguments).unwrap_or_else(|error| panic!("{error}"));
}

impl Net {
    /// A network without hosts, or why this machine cannot have one.
    pub fn new() -> Result<Self, String> {
        let (process, number) = (std::process::id(), NETWORKS.fetch_add(1, Ordering::Relaxed));
        let name = format!(
            "rb{process}{}",
            char::from(b'a' + u8::try_from(number % 26).expect("a letter"))
        );
        let subnet = (process.wrapping_mul(4).wrapping_add(number)) % (32 * 256);
        ip(&format!("netns add {name}s"))?;
        let subnet = (subnet / 256, subnet % 256);
        // From here on it is taken down again, whatever happens.
        let net = Self { name, subnet, hosts: Vec::new(), switches: 1 };
        net.set_up()?;
        Ok(net)
    }

    fn set_up(&self) -> Result<(), String> {
        let (name, middle) = (&self.name, self.middle());
        for switch in ["clients", "peers0"] {
            ip(&format!("-n {middle} link add {switch} type bridge"))?;
            ip(&format!("-n {middle} link set {switch} up"))?;
        }
        ip(&format!("link add {name} type veth peer name test netns {middle}"))?;
        ip(&format!("-n {middle} link set test master clients up"))?;
        ip(&format!("addr add {}/24 dev {name}", self.client_address(254)))?;
        ip(&format!("link set {name} up"))
    }

    /// The namespace of the switches.
    fn middle(&self) -> String {
        format!("{}s", self.name)
    }

    /// The namespace of a host.
    pub fn namespace(&self, host: u8) -> String {
        format!("{}h{host}", self.name)
    }

    /// Where the test reaches a host.
    pub fn client_address(&self, host: u8) -> String {
        format!("100.{}.{}.{host}", 64 + self.subnet.0, self.subnet.1)
    }

    /// Where other hosts reach it.
    pub fn peer_address(&self, host: u8) -> String {
        format!("100.{}.{}.{host}", 96 + self.subnet.0, self.subnet.1)
    }

    /// Adds a host.
    pub fn add(&mut self, host: u8) {
        let (space, middle) = (self.namespace(host), self.middle());
        must(&format!("netns add {space}"));
        self.hosts.push(host);
        must(&format!("-n {space} link set lo up"));
        let links = [
            ("clients", "clients", self.client_address(host)),
            ("peers", "peers0", self.peer_address(host)),
        ];
        for (link, switch, address) in links {
            must(&format!(
                "link add {link} netns {space} type veth peer name {link}{host}x netns {middle}"
            ));
            must(&format!("-n {middle} link set {link}{host}x master {switch} up"));
            must(&format!("-n {space} addr add {address}/24 dev {link}"));
            must(&format!("-n {space} link set {link} up"));
        }
    }

    /// A program that runs on a host.
    pub fn program(&self, host: u8, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]).arg(program);
        command
    }

    /// Has only hosts of the same group hear each other; who is in no group hears nobody.
    pub fn partition(&mut self, groups: &[&[u8]]) {
        let middle = self.middle();
        while self.switches <= groups.len() {
            must(&format!("-n {middle} link add peers{} type bridge", self.switches));
            must(&format!("-n {middle} link set peers{} up", self.switches));
            self.switches += 1;
        }
        for host in &self.hosts {
            let group = groups.iter().position(|group| group.contains(host));
            // A host of no group is alone on no switch.
            let master = group.map_or("nomaster".to_owned(), |it| format!("master peers{it}"));
            must(&format!("-n {middle} link set peers{host}x {master}"));
        }
    }

    /// Has all hosts hear each other.
    pub fn heal(&mut self) {
        let all = self.hosts.clone();
        self.partition(&[&all]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&format!("netns del {}", self.namespace(*host)));
        }
        // With the switches goes the test's own end.
        let _ = ip(&format!("netns del {}", self.middle()));
    }
}

/// Runs psql on a host itself, where the first role needs no password.
pub fn psql_at_home(net: &Net, host: u8, port: u16, script: &str) -> String {
    let mut program = net.program(host, Path::new("psql"));
    let conninfo = format!("host=127.0.0.1 port={port} user=rotabase dbname=rotabase");
    program.args(["-X", "-At", "-v", "ON_ERROR_STOP=1", &conninfo]);
    tool::run(&mut program, script).expect_success()
}
