//! Logs, to standard error: standard output is for what the program was asked to print.

use std::panic;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, LogFormat};

/// Starts to log as configured, panics included. Only the first call of a process counts.
pub(crate) fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(with_quiet_libraries(&config.log_level)).map_err(|error| {
        ConfigError::Unsound { setting: "log_level", reason: error.to_string() }
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(place, text, %backtrace, "panic");
    }));
    Ok(())
}

/// A bare level is meant for what this program does; the library below it tells every step of every shard.
fn with_quiet_libraries(level: &str) -> String {
    if level.contains(['=', ',']) { level.to_owned() } else { format!("{level},openraft=error") }
}
