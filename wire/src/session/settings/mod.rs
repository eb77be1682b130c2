//! The session's settings: their names, defaults, checks and what `SHOW` says.
//!
//! Every setting is a row of one table. The values are kept as text, as PostgreSQL shows them; the few that
//! change what expressions give are kept parsed beside it, in [`Settings`], which running statements share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Positions;
use rotabase_queries::as_of::last_timestamp;
use rotabase_queries::catalog::SettingRow;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::types::datetime::{DateStyle, IntervalStyle};
use rotabase_queries::types::{Datum, ObjectNames, PgType, text};

use super::setting_table::{Kind, SERVER_SCHEMA, SETTINGS, Setting, display_name};

/// The settings of one session.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    shared: Arc<Settings>,
    defaults: Arc<BTreeMap<String, String>>,
    /// What `SET LOCAL` and a block's `SET` have to give back when the block ends.
    saved: Option<Arc<Settings>>,
    /// What `SET LOCAL` has replaced in this block.
    replaced: BTreeMap<String, String>,
    statement_timeout: Option<Duration>,
    read_after: Option<Positions>,
    as_of: Option<Timestamp>,
    /// What `now` means in a value.
    now: i64,
    reported: Vec<(String, String)>,
}

/// How a `SELECT` has to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// At least what this session wrote.
    Session,
    /// Whatever there is.
    Eventual,
    /// Everything that was acknowledged anywhere before.
    Strong,
}

impl SessionSettings {
    /// The settings at the start of a session. `options` are what the client's start-up message set; they
    /// become the session's defaults, to which RESET returns.
    pub(crate) fn new(
        objects: Arc<dyn ObjectNames>,
        user: &str,
        database: &str,
        backend_pid: i32,
        options: &[(String, String)],
        now: i64,
    ) -> Result<Self> {
        let mut all: BTreeMap<String, String> =
            SETTINGS.iter().map(|it| (it.name.to_owned(), it.default.to_owned())).collect();
        all.insert("session_authorization".to_owned(), user.to_owned());
        let shared = Settings {
            user: user.to_owned(),
            database: database.to_owned(),
            search_path: search_path("\"$user\", public", user),
            backend_pid,
            all: Arc::new(all.clone()),
            objects,
            ..Settings::default()
        };
        let mut settings = Self {
            shared: Arc::new(shared),
            defaults: Arc::new(all),
            saved: None,
            replaced: BTreeMap::new(),
            statement_timeout: None,
            read_after: None,
            as_of: None,
            now,
            reported: Vec::new(),
        };
        // An instant is read in the time zone, whichever comes first.
        let is_zone = |name: &str| name.eq_ignore_ascii_case("timezone");
        let (zones, others): (Vec<_>, Vec<_>) = options.iter().partition(|(name, _)| is_zone(name));
        for (name, value) in zones.into_iter().chain(others) {
            settings.set(name, value)?;
        }
        settings.defaults = Arc::clone(&settings.shared.all);
        settings.reported.clear();
        Ok(settings)
    }

    /// Makes them those of a session on a read replica, as clients look for it.
    pub(crate) fn be_on_replica(&mut self) {
        let all = Arc::make_mut(&mut Arc::make_mut(&mut self.shared).all);
        for name in ["in_hot_standby", "default_transaction_read_only", "transaction_read_only"] {
            all.insert(name.to_owned(), "on".to_owned());
        }
        self.defaults = Arc::clone(&self.shared.all);
    }

    /// What running statements see.
    pub(crate) fn shared(&self) -> Arc<Settings> {
        Arc::clone(&self.shared)
    }

    /// Sets a setting to a value as the user wrote it.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let name = name.to_ascii_lowercase();
        let setting = match find(&name) {
            Ok(setting) => setting,
            // As in PostgreSQL, a name with a dot may be anything: an extension's placeholder.
            Err(_) if name.contains('.') && !name.starts_with("rotabase.") => {
                self.store(&name, value.to_owned());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let value = match setting.kind {
            Kind::Instant => self.instant(value)?,
            Kind::DateStyle => DateStyle::parse(value, self.shared.date_style)
                .map(DateStyle::name)
                .map_err(|detail| bad_value(setting, value).with_detail(detail))?,
            Kind::TimeZone => time_zone_name(value).ok_or_else(|| bad_value(setting, value))?,
            _ => normalise(setting, value)?,
        };
        self.parse(setting, &value)?;
        self.store(&name, value);
        Ok(())
    }

    /// `SET`: sets a setting beyond the end of a block, whatever `SET LOCAL` said before.
    pub(crate) fn set_for_session(&mut self, name: &str, value: &str) -> Result<()> {
        self.set(name, value)?;
        self.replaced.remove(&name.to_ascii_lowercase());
        Ok(())
    }

    /// `SET LOCAL`: sets a setting until the block ends.
    pub(crate) fn set_local(&mut self, name: &str, value: &str) -> Result<()> {
        let before = self.get(name).map(str::to_owned).unwrap_or_default();
        self.set(name, value)?;
        self.replaced.entry(name.to_ascii_lowercase()).or_insert(before);
        Ok(())
    }

    /// A statement begins at this time of the transaction.
    pub(crate) fn begin(&mut self, now: i64) {
        self.now = now;
    }

    /// `rotabase.as_of`: the last timestamp that is seen.
    pub(crate) fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// The value of a setting.
    pub(crate) fn get(&self, name: &str) -> Result<&str> {
        let name = name.to_ascii_lowercase();
        self.shared.all.get(&name).map(String::as_str).ok_or_else(|| unknown(&name))
    }

    /// Returns a setting to the session's default.
    pub(crate) fn reset(&mut self, name: &str) -> Result<()> {
        let name = name.to_ascii_lowercase();
        match self.defaults.get(&name).cloned() {
            Some(value) if find(&name).is_ok_and(|it| matches!(it.kind, Kind::Fixed)) => {
                drop(value);
            }
            Some(value) => self.set(&name, &value)?,
            None if self.shared.all.contains_key(&name) => self.store(&name, String::new()),
            None => return Err(unknown(&name)),
        }
        Ok(())
    }

    /// Returns every setting to the session's default.
    pub(crate) fn reset_all(&mut self) -> Result<()> {
        let names: Vec<String> = self.shared.all.keys().cloned().collect();
        names.iter().try_for_each(|name| self.reset(name))
    }

    /// Remembers the settings, so that [`Self::leave_block`] can bring them back.
    pub(crate) fn enter_block(&mut self) {
        self.saved = Some(Arc::clone(&self.shared));
    }

    /// At the end of a block: what it set stays if it committed, and goes if it did not.
    pub(crate) fn leave_block(&mut self, committed: bool) {
        let Some(saved) = self.saved.take() else { return };
        for (name, value) in std::mem::take(&mut self.replaced) {
            // The value was valid when it was set.
            let _ = self.set(&name, &value);
        }
        if !committed {
            self.restore(&saved);
        }
        for name in ["transaction_isolation", "transaction_read_only", "transaction_deferrable"] {
            let default = self.get(&format!("default_{name}")).unwrap_or_default().to_owned();
            let _ = self.set(name, &default);
        }
    }

    /// Brings back what was set at another time.
    pub(crate) fn restore(&mut self, saved: &Settings) {
        let values: Vec<(String, String)> =
            saved.all.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in values {
            if self.shared.all.get(&name) != Some(&value) {
                // The value was valid when it was set.
                let _ = self.set(&name, &value);
            }
        }
    }

    /// All settings with their values and descriptions, as `SHOW ALL` lists them.
    pub(crate) fn rows(&self) -> Vec<[String; 3]> {
        SETTINGS
            .iter()
            .map(|it| {
                let value = self.shared.all.get(it.name).cloned().unwrap_or_default();
                [display_name(it.name).to_owned(), shown(it, &value), it.description.to_owned()]
            })
            .collect()
    }

    /// The settings that clients are told at the start.
    pub(crate) fn reportable(&self) -> Vec<(String, String)> {
        SETTINGS
            .iter()
            .filter(|it| it.reported)
            .map(|it| {
                (
                    display_name(it.name).to_owned(),
                    self.shared.all.get(it.name).cloned().unwrap_or_default(),
                )
            })
            .collect()
    }

    /// The reported settings that have changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.reported)
    }

    /// `statement_timeout`, none for 0.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }

    /// `rotabase.read_after`.
    pub(crate) fn read_after(&self) -> Option<&Positions> {
        self.read_after.as_ref()
    }

    /// `rotabase.consistency`.
    pub(crate) fn consistency(&self) -> Consistency {
        match self.get("rotabase.consistency") {
            Ok("eventual") => Consistency::Eventual,
            Ok("strong") => Consistency::Strong,
            _ => Consistency::Session,
        }
    }

    /// Sets a setting that users cannot set.
    pub(crate) fn set_fixed(&mut self, name: &str, value: String) {
        self.store(name, value);
    }

    /// The name that a result column of `SHOW name` has.
    pub(crate) fn column_name(name: &str) -> String {
        let name = name.to_ascii_lowercase();
        SETTINGS
            .iter()
            .find(|it| it.name == name)
            .map_or(name.clone(), |it| display_name(it.name).to_owned())
    }

    /// The value as `SHOW` prints it.
    pub(crate) fn show(&self, name: &str) -> Result<String> {
        let value = self.get(name)?;
        let lower = name.to_ascii_lowercase();
        Ok(SETTINGS
            .iter()
            .find(|it| it.name == lower)
            .map_or_else(|| value.to_owned(), |it| shown(it, value)))
    }

    fn store(&mut self, name: &str, value: String) {
        if self.shared.all.get(name) == Some(&value) {
            return;
        }
        if let Some(setting) = SETTINGS.iter().find(|it| it.name == name && it.reported) {
            self.reported.push((display_name(setting.name).to_owned(), value.clone()));
        }
        let shared = Arc::make_mut(&mut self.shared);
        Arc::make_mut(&mut shared.all).insert(name.to_owned(), value);
    }

    /// Keeps the parsed form of what changes how statements run.
    fn parse(&mut self, setting: &Setting, value: &str) -> Result<()> {
        match setting.name {
            "timezone" => {
                let zone = rotabase_queries::types::datetime::zone::find(value)
                    .ok_or_else(|| bad_value(setting, value))?;
                let shared = Arc::make_mut(&mut self.shared);
                shared.time_zone = zone;
                value.clone_into(&mut shared.time_zone_name);
            }
            "datestyle" => {
                let shared = Arc::make_mut(&mut self.shared);
                shared.date_style = DateStyle::parse(value, shared.date_style).unwrap_or_default();
            }
            "intervalstyle" => {
                Arc::make_mut(&mut self.shared).interval_style =
                    IntervalStyle::parse(value).unwrap_or_default();
            }
            "extra_float_digits" => {
                Arc::make_mut(&mut self.shared).extra_float_digits = value.parse().unwrap_or(1);
            }
            "bytea_output" => Arc::make_mut(&mut self.shared).bytea_escape = value == "escape",
            "application_name" => {
                value.clone_into(&mut Arc::make_mut(&mut self.shared).application_name);
            }
            "search_path" => {
                let user = self.shared.user.clone();
                Arc::make_mut(&mut self.shared).search_path = search_path(value, &user);
            }
            "statement_timeout" => {
                self.statement_timeout =
                    value.parse().ok().filter(|it| *it > 0).map(Duration::from_millis);
            }
            "rotabase.read_after" => {
                self.read_after = if value.is_empty() {
                    None
                } else {
                    Some(value.parse().map_err(|_| bad_value(setting, value))?)
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads an instant and keeps it; it does not change with the time zone from then on.
    fn instant(&mut self, value: &str) -> Result<String> {
        if value.is_empty() {
            self.as_of = None;
            return Ok(String::new());
        }
        let context = text::ReadContext { settings: &self.shared, now: self.now };
        let instant = text::read(PgType::TimestampTz, value, &context)?;
        if let Datum::TimestampTz(microseconds) = instant {
            self.as_of = Some(last_timestamp(microseconds));
        }
        Ok(text::to_string(&instant, PgType::TimestampTz, &self.shared))
    }
}

/// All settings, as `pg_settings` describes them.
pub(crate) fn catalog_rows() -> Vec<SettingRow> {
    let row = |it: &Setting| {
        let (kind, words, range) = match it.kind {
            Kind::Bool => ("bool", &[][..], None),
            Kind::Int(least, most) => ("integer", &[][..], Some((least, most))),
            Kind::Milliseconds => ("integer", &[][..], Some((0, i64::from(i32::MAX)))),
            Kind::Word(words) => ("enum", words, None),
            Kind::Text
            | Kind::Fixed
            | Kind::TimeZone
            | Kind::DateStyle
            | Kind::List
            | Kind::Position
            | Kind::Instant => ("string", &[][..], None),
        };
        SettingRow {
            name: display_name(it.name).to_owned(),
            description: it.description.to_owned(),
            kind,
            unit: matches!(it.kind, Kind::Milliseconds).then_some("ms"),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            range,
            default: it.default.to_owned(),
            changeable: !matches!(it.kind, Kind::Fixed),
        }
    };
    SETTINGS.iter().map(row).collect()
}

fn find(name: &str) -> Result<&'static Setting> {
    SETTINGS.iter().find(|it| it.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

fn bad_value(setting: &Setting, value: &str) -> SqlError {
    let message =
        format!("invalid value for parameter \"{}\": \"{value}\"", display_name(setting.name));
    let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    match setting.kind {
        Kind::Word(words) => error.with_hint(format!("Available values: {}.", words.join(", "))),
        _ => error,
    }
}

/// Checks a value and gives it the form in which it is kept.
fn normalise(setting: &Setting, value: &str) -> Result<String> {
    let bad = || bad_value(setting, value);
    match setting.kind {
        Kind::Text | Kind::List | Kind::TimeZone | Kind::Instant | Kind::DateStyle => {
            Ok(value.to_owned())
        }
        Kind::Position => value.parse::<Positions>().map(|_| value.to_owned()).map_err(|_| bad()),
        Kind::Fixed => {
            let message = format!("parameter \"{}\" cannot be changed", display_name(setting.name));
            if value == setting.default {
                Ok(value.to_owned())
            } else {
                Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message))
            }
        }
        Kind::Bool => match value.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" | "t" | "y" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" | "f" | "n" => Ok("off".to_owned()),
            _ => {
                let message = format!(
                    "parameter \"{}\" requires a Boolean value",
                    display_name(setting.name)
                );
                Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
            }
        },
        Kind::Int(least, most) => {
            let number: i64 = value.trim().parse().map_err(|_| bad())?;
            if (least..=most).contains(&number) {
                return Ok(number.to_string());
            }
            let name = display_name(setting.name);
            let message = format!(
                "{number} is outside the valid range for parameter \"{name}\" ({least} .. {most})"
            );
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
        Kind::Milliseconds => milliseconds(value).map(|it| it.to_string()).ok_or_else(bad),
        Kind::Word(_) if setting.name == "client_encoding" => {
            // PostgreSQL reads encodings without regard to case and to what is no letter and no digit.
            let mut name = value.to_ascii_lowercase();
            name.retain(|it| it.is_ascii_alphanumeric());
            if ["utf8", "unicode"].contains(&name.as_str()) {
                Ok("UTF8".to_owned())
            } else {
                Err(bad())
            }
        }
        Kind::Word(words) => {
            let lower = value.to_ascii_lowercase();
            if words.contains(&lower.as_str()) { Ok(lower) } else { Err(bad()) }
        }
    }
}

/// A time zone's name as it is kept: a number of hours east and an interval become POSIX names, other names are written
/// as the database of time zones writes them.
fn time_zone_name(value: &str) -> Option<String> {
    let trimmed = value.trim();
    let interval = trimmed.get(..8).filter(|it| it.eq_ignore_ascii_case("interval"));
    let seconds = if interval.is_some() {
        let text = trimmed[8..].trim().strip_prefix('\'')?.split('\'').next()?;
        match text::read(
            PgType::Interval,
            text,
            &text::ReadContext { settings: &Settings::default(), now: 0 },
        ) {
            Ok(Datum::Interval(it)) if it.months == 0 && it.days == 0 => {
                Some(it.microseconds / 1_000_000)
            }
            _ => return None,
        }
    } else {
        let hours: Option<f64> = trimmed.parse().ok().filter(|it: &f64| it.abs() <= 25.0);
        // A whole number of seconds is far within what an integer holds.
        hours.and_then(|hours| format!("{:.0}", (hours * 3600.0).trunc()).parse().ok())
    };
    let Some(seconds) = seconds else {
        let zone = rotabase_queries::types::datetime::zone::find(value)?;
        return Some(zone.iana_name().unwrap_or(value).to_owned());
    };
    let mut magnitude = format!("{:02}", seconds.abs() / 3600);
    for part in [seconds.abs() / 60 % 60, seconds.abs() % 60] {
        if part != 0 || seconds % 60 != 0 {
            magnitude = format!("{magnitude}:{part:02}");
        }
    }
    let (shown, counted) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    Some(format!("<{shown}{magnitude}>{counted}{magnitude}"))
}

/// PostgreSQL's units of time; without one, milliseconds.
fn milliseconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "us" => return number.parse::<u64>().ok().map(|it| it.div_ceil(1000)),
        _ => return None,
    };
    let most = u64::try_from(i32::MAX).expect("positive");
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|it| *it <= most)
}

/// Times are shown with the largest unit that divides them, as PostgreSQL does.
fn shown(setting: &Setting, value: &str) -> String {
    if setting.name == "work_mem" {
        return value.parse::<u64>().map_or_else(
            |_| value.to_owned(),
            |kb| if kb % 1024 == 0 { format!("{}MB", kb / 1024) } else { format!("{kb}kB") },
        );
    }
    if !matches!(setting.kind, Kind::Milliseconds) {
        return value.to_owned();
    }
    let number: u64 = value.parse().unwrap_or(0);
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match units.iter().find(|(unit, _)| number > 0 && number.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", number / unit),
        None if number == 0 => "0".to_owned(),
        None => format!("{number}ms"),
    }
}

/// The schemas of a `search_path`, `"$user"` replaced. The user `rotabase` has no schema of its own: the schema of
/// that name is the server's.
fn search_path(value: &str, user: &str) -> Vec<String> {
    value
        .split(',')
        .map(|part| part.trim().trim_matches(|quote| quote == '"' || quote == '\'').to_owned())
        .filter(|part| !part.is_empty() && (part != "$user" || user != SERVER_SCHEMA))
        .map(|part| if part == "$user" { user.to_owned() } else { part })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionSettings {
        SessionSettings::new(
            Arc::new(rotabase_queries::types::BuiltInNames),
            "rotabase",
            "rotabase",
            1,
            &[],
            0,
        )
        .expect("defaults are valid")
    }

    #[test]
    fn values_are_checked_and_normalised() {
        let mut settings = session();
        settings.set("statement_timeout", "2s").expect("a time");
        assert_eq!(settings.show("statement_timeout").expect("known"), "2s");
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        assert_eq!(
            settings.set("statement_timeout", "soon").expect_err("no time").state,
            SqlState::INVALID_PARAMETER_VALUE
        );
        assert_eq!(
            settings.set("nothing", "1").expect_err("unknown").state,
            SqlState::UNDEFINED_OBJECT
        );
        assert_eq!(
            settings.set("server_version", "9").expect_err("fixed").state,
            SqlState::CANT_CHANGE_RUNTIME_PARAM
        );
        settings.set("rotabase.consistency", "STRONG").expect("a word");
        assert_eq!(settings.consistency(), Consistency::Strong);
    }

    #[test]
    fn clients_are_told_of_what_they_follow() {
        let mut settings = session();
        settings.set("timezone", "Europe/Berlin").expect("a zone");
        settings.set("work_mem", "1024").expect("accepted");
        assert_eq!(settings.take_changes(), [("TimeZone".to_owned(), "Europe/Berlin".to_owned())]);
        settings.reset_all().expect("defaults are valid");
        assert_eq!(settings.show("timezone").expect("known"), "UTC");
    }

    #[test]
    fn a_block_that_rolls_back_takes_its_settings_with_it() {
        let mut settings = session();
        settings.enter_block();
        settings.set("application_name", "planner").expect("text");
        settings.leave_block(false);
        assert_eq!(settings.show("application_name").expect("known"), "");
    }
}
