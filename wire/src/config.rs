//! The configuration of a server: one struct, each field with its unit and its default, checked once.
//!
//! It is put together from the defaults, `rotabase.toml`, the environment (`ROTABASE_*`) and the command
//! line, each overriding the one before. What is unknown is an error that names it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::AuthMethod;

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "rotabase.toml";

/// What the names of environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "ROTABASE_";

/// Variables with that prefix that are no settings: where to look for them, and who a replica is.
const ENVIRONMENT_ELSEWHERE: [&str; 4] =
    ["ROTABASE_DATA", "ROTABASE_CONFIG", "ROTABASE_REPLICA_USER", "ROTABASE_REPLICA_PASSWORD"];

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where PostgreSQL clients connect; port 0 picks a free one. Default `127.0.0.1:7432`.
    pub listen: SocketAddr,
    /// Where metrics and health are served; port 0 picks a free one. Default `127.0.0.1:7480`.
    pub http: SocketAddr,

    /// Where other nodes of the cluster reach this one, `host:port`; it listens there. Default none: it is alone.
    pub peer: Option<String>,
    /// The certificate chain that this node shows to other nodes, a PEM file; relative to the data directory. Default
    /// none: nodes talk without TLS.
    pub peer_certificate: Option<PathBuf>,
    /// The key of that certificate, a PEM file; relative to the data directory.
    pub peer_key: Option<PathBuf>,
    /// The authority that all nodes' certificates are of, a PEM file; relative to the data directory.
    pub peer_ca: Option<PathBuf>,

    /// The sessions there may be, those for administrators included. Default 200.
    pub connections_max: usize,
    /// How many of them are kept for administrators. Default 3.
    pub connections_reserved: usize,
    /// How long a client may take to log in, in seconds. Default 60.
    pub authentication_timeout_seconds: u64,
    /// The longest message that is taken from a client, in bytes; it bounds the length of a statement. COPY
    /// data may be longer. Default 67108864 (64 MiB).
    pub message_bytes_max: usize,
    /// After how many silent seconds TCP asks whether a client is still there. Default 60.
    pub keepalive_seconds: u64,
    /// How long a clean stop may wait for sessions to end, in seconds. Default 30.
    pub shutdown_grace_seconds: u64,

    /// What clients on this machine have to prove: `trust`, `password-if-set` or `scram`. Default
    /// `password-if-set`.
    pub auth_local: AuthMethod,
    /// What all other clients have to prove. Default `scram`.
    pub auth_remote: AuthMethod,
    /// The certificate chain for TLS, a PEM file; relative to the data directory. Default none: no TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The key of the certificate, a PEM file; relative to the data directory.
    pub tls_key: Option<PathBuf>,
    /// Whether clients that are not on this machine have to use TLS. Default false.
    pub tls_required: bool,

    /// The bytes of memory that the storage engine may use for blocks and unwritten rows. Default 268435456.
    pub storage_cache_bytes: usize,
    /// The bytes of memory that aggregates may take. Default 268435456.
    pub aggregate_cache_bytes: usize,
    /// The bytes of memory that the sorts and hashes of one statement may take; beyond, rows go to temporary files.
    /// Default 268435456.
    pub work_bytes: usize,
    /// The bytes on disk that the temporary files of one statement may take. Default 17179869184 (16 GiB).
    pub spill_bytes: u64,
    /// For how many seconds what has changed is kept, so that the schedule as of a past instant can be shown without
    /// a replay of the log; histories are kept for ever. Default 604800 (a week).
    pub history_retention_seconds: u64,
    /// The bytes on disk that the schedule as of past instants may take, where it is replayed from the log because
    /// a statement asked for it. Default 17179869184 (16 GiB).
    pub past_bytes_max: u64,

    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter as `rotabase=debug,info`.
    /// Default `info`.
    pub log_level: String,
    /// How log lines look: `text` or `json`. Default `text`.
    pub log_format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            listen: local(7432),
            http: local(7480),
            peer: None,
            peer_certificate: None,
            peer_key: None,
            peer_ca: None,
            connections_max: 200,
            connections_reserved: 3,
            authentication_timeout_seconds: 60,
            message_bytes_max: 64 << 20,
            keepalive_seconds: 60,
            shutdown_grace_seconds: 30,
            auth_local: AuthMethod::PasswordIfSet,
            auth_remote: AuthMethod::Scram,
            tls_certificate: None,
            tls_key: None,
            tls_required: false,
            storage_cache_bytes: 256 << 20,
            aggregate_cache_bytes: 256 << 20,
            work_bytes: 256 << 20,
            spill_bytes: 16 << 30,
            history_retention_seconds: 7 * 24 * 3600,
            past_bytes_max: 16 << 30,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read \"{path}\": {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file is no configuration.
    #[error("{path}: {reason}")]
    Invalid {
        /// Which file.
        path: String,
        /// What is wrong, with the key.
        reason: String,
    },
    /// An environment variable is no setting, or its value is wrong.
    #[error("environment variable {name}: {reason}")]
    Environment {
        /// Which variable.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A flag is no setting, or its value is wrong.
    #[error("setting {setting}: {reason}")]
    Flag {
        /// Which setting.
        setting: String,
        /// What is wrong.
        reason: String,
    },
    /// Values do not go together.
    #[error("setting {setting}: {reason}")]
    Unsound {
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Puts the configuration together: the file, if it is there or has been named, then the environment,
    /// then `flags`, settings by name.
    pub fn load(
        data: &Path,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let default = data.join(FILE_NAME);
        let path = file.unwrap_or(&default);
        let mut table = match std::fs::read_to_string(path) {
            Ok(text) => parse_file(path, &text)?,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                toml::Table::new()
            }
            Err(error) => {
                return Err(ConfigError::Unreadable {
                    path: path.display().to_string(),
                    reason: error.to_string(),
                });
            }
        };
        apply_environment(&mut table, environment)?;
        for (name, text) in flags {
            let invalid = |reason| ConfigError::Flag { setting: name.clone(), reason };
            set(&mut table, name, text).map_err(invalid)?;
        }
        let mut config: Self =
            table.try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
                path: path.display().to_string(),
                reason: error.message().to_owned(),
            })?;
        let files = [
            &mut config.tls_certificate,
            &mut config.tls_key,
            &mut config.peer_certificate,
            &mut config.peer_key,
            &mut config.peer_ca,
        ];
        for file in files.into_iter().flatten() {
            *file = data.join(&*file);
        }
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let unsound = |setting, reason: &str| {
            Err(ConfigError::Unsound { setting, reason: reason.to_owned() })
        };
        if self.connections_max == 0 {
            return unsound("connections_max", "there has to be at least one");
        }
        if self.connections_reserved >= self.connections_max {
            return unsound("connections_reserved", "it has to be less than connections_max");
        }
        if self.authentication_timeout_seconds == 0 {
            return unsound("authentication_timeout_seconds", "it has to be at least 1");
        }
        if self.message_bytes_max < 1 << 16 {
            return unsound("message_bytes_max", "it has to be at least 65536");
        }
        if self.keepalive_seconds == 0 {
            return unsound("keepalive_seconds", "it has to be at least 1");
        }
        for (setting, bytes) in [
            ("storage_cache_bytes", self.storage_cache_bytes),
            ("aggregate_cache_bytes", self.aggregate_cache_bytes),
            ("work_bytes", self.work_bytes),
        ] {
            if bytes < 1 << 20 {
                return unsound(setting, "it has to be at least 1048576");
            }
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return unsound("tls_certificate", "tls_certificate and tls_key go together");
        }
        let peer = [&self.peer_certificate, &self.peer_key, &self.peer_ca];
        if peer.iter().any(|it| it.is_some()) && peer.iter().any(|it| it.is_none()) {
            let reason = "peer_certificate, peer_key and peer_ca go together";
            return unsound("peer_certificate", reason);
        }
        if self.tls_required && self.tls_certificate.is_none() {
            return unsound("tls_required", "it needs tls_certificate and tls_key");
        }
        Ok(())
    }

    /// Every setting and its value, in order, for `rotabase.settings`.
    pub fn values(&self) -> BTreeMap<String, String> {
        let table = toml::Table::try_from(self).expect("plain values only");
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        table.into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    /// How long a client may take to log in.
    pub fn authentication_timeout(&self) -> Duration {
        Duration::from_secs(self.authentication_timeout_seconds)
    }

    /// How long a clean stop may take.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }
}

/// The file that a new data directory gets: every setting, commented out.
pub fn template() -> String {
    let mut text = String::from(
        "# Settings of this Rotabase server. What is commented out shows the default.\n\
         # ROTABASE_<NAME> in the environment overrides a setting here, a flag overrides both.\n\n",
    );
    for (name, value) in toml::Table::try_from(Config::default()).expect("plain values only") {
        let _ = writeln!(text, "# {name} = {value}");
    }
    text.push_str("# peer = \"10.0.0.1:7433\"\n# peer_certificate = \"node.crt\"\n");
    text.push_str("# peer_key = \"node.key\"\n# peer_ca = \"nodes-ca.crt\"\n");
    text.push_str("# tls_certificate = \"server.crt\"\n# tls_key = \"server.key\"\n");
    text
}

fn parse_file(path: &Path, text: &str) -> Result<toml::Table, ConfigError> {
    let invalid =
        |reason: String| ConfigError::Invalid { path: path.display().to_string(), reason };
    // Parsed as a whole first, so that an error tells its line.
    if let Err(error) = toml::from_str::<Config>(text) {
        return Err(invalid(error.to_string().trim_end().to_owned()));
    }
    text.parse().map_err(|error: toml::de::Error| invalid(error.to_string()))
}

fn apply_environment(
    table: &mut toml::Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    // In order of their names, so that the same environment gives the same error.
    let variables: BTreeMap<String, String> = environment
        .filter(|(name, _)| {
            name.starts_with(ENVIRONMENT_PREFIX) && !ENVIRONMENT_ELSEWHERE.contains(&name.as_str())
        })
        .collect();
    for (name, text) in variables {
        let setting = name[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase();
        set(table, &setting, &text).map_err(|reason| ConfigError::Environment { name, reason })?;
    }
    Ok(())
}

/// Sets a setting from text: as the TOML value that it may be, or else as a string.
fn set(table: &mut toml::Table, setting: &str, text: &str) -> Result<(), String> {
    let readings = [format!("{setting} = {text}").parse::<toml::Table>().ok(), {
        let value = toml::Value::String(text.to_owned());
        Some(toml::Table::from_iter([(setting.to_owned(), value)]))
    }];
    let mut reason = String::new();
    for reading in readings.into_iter().flatten() {
        match Config::deserialize(reading.clone()) {
            Ok(_) => {
                table.extend(reading);
                return Ok(());
            }
            Err(error) => error.message().clone_into(&mut reason),
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: &str,
        environment: &[(&str, &str)],
        flags: &[(String, String)],
    ) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), file).unwrap();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(directory.path(), None, environment, flags)
    }

    #[test]
    fn flags_override_the_environment_and_that_the_file() {
        let file = "connections_max = 10\nlog_level = \"warn\"\nlisten = \"127.0.0.1:1\"";
        let environment =
            [("ROTABASE_CONNECTIONS_MAX", "20"), ("ROTABASE_LOG_LEVEL", "debug"), ("OTHER", "x")];
        let config =
            load(file, &environment, &[("connections_max".to_owned(), "30".to_owned())]).unwrap();
        assert_eq!(
            (config.connections_max, config.log_level.as_str(), config.listen.port()),
            (30, "debug", 1)
        );
        assert_eq!(load("", &[], &[]).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_setting_is_named() {
        assert!(load("colour = 1", &[], &[]).unwrap_err().to_string().contains("colour"));
        let error = load("", &[("ROTABASE_COLOUR", "1")], &[]).unwrap_err().to_string();
        assert!(error.contains("ROTABASE_COLOUR"), "{error}");
        assert!(load("", &[("ROTABASE_DATA", "/x")], &[]).is_ok());
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "connections_max = 0",
            "connections_max = 3",
            "message_bytes_max = 1",
            "tls_required = true",
            "tls_key = \"x\"",
            "listen = \"nowhere\"",
            "auth_local = \"maybe\"",
        ] {
            assert!(load(bad, &[], &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_template_is_a_configuration() {
        let uncommented: String = template()
            .lines()
            .filter(|line| line.contains('='))
            .fold(String::new(), |text, line| text + line.trim_start_matches("# ") + "\n");
        let settings: Vec<&str> =
            uncommented.lines().filter(|line| !line.contains("NAME")).collect();
        assert!(toml::from_str::<Config>(&settings.join("\n")).is_ok(), "{uncommented}");
        assert_eq!(load(&template(), &[], &[]).unwrap(), Config::default());
    }

    #[test]
    fn every_setting_is_listed() {
        assert_eq!(Config::default().values()["listen"], "127.0.0.1:7432");
        assert_eq!(Config::default().values()["auth_remote"], "scram");
    }
}
