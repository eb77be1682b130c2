//! The session's settings: their names, defaults, checks and what `SHOW` says.
//!
//! Every setting is a row of one [`table`]. The values are checked by [`value`] and kept as text, as PostgreSQL shows
//! them; the few that change what expressions give are kept parsed beside it, in [`Settings`], which running
//! statements share.

mod table;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Positions;
use rotabase_queries::as_of::last_timestamp;
use rotabase_queries::catalog::setting_unit::{SettingUnit, read_integer};
use rotabase_queries::catalog::{SettingRow, quote};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::types::datetime::{DateStyle, IntervalStyle};
use rotabase_queries::types::{Datum, ObjectNames, PgType, text};

use table::{Kind, SETTINGS, Setting, display_name};
use value::{bad_value, normalise, search_path};

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
    consistency: Consistency,
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
            consistency: Consistency::Session,
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
            _ => normalise(setting, value, &self.shared)?,
        };
        self.parse(setting, &value)?;
        self.store(&name, value);
        Ok(())
    }

    /// The values of a `SET` as one; names in a list of names are quoted where they have to be.
    pub(crate) fn joined(name: &str, values: &[String]) -> String {
        if find(name).is_ok_and(|setting| matches!(setting.kind, Kind::List)) {
            return values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(", ");
        }
        values.join(", ")
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
        let row = |it: &Setting| {
            let value = self.shared.all.get(it.name).cloned().unwrap_or_default();
            [display_name(it.name).to_owned(), value, it.description.to_owned()]
        };
        SETTINGS.iter().map(row).collect()
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
        self.consistency
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
                let read = read_integer(value, Some(SettingUnit::Milliseconds)).unwrap_or(0);
                let read = u64::try_from(read).ok().filter(|it| *it > 0);
                self.statement_timeout = read.map(Duration::from_millis);
            }
            "rotabase.consistency" => {
                self.consistency = match value {
                    "eventual" => Consistency::Eventual,
                    "strong" => Consistency::Strong,
                    _ => Consistency::Session,
                };
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

/// The form in which a value of a setting would be kept; a value of a name that is not known is kept as it is.
pub(crate) fn normalised(name: &str, value: &str, settings: &Settings) -> Result<String> {
    match find(name) {
        Ok(setting) => normalise(setting, value, settings),
        Err(_) => Ok(value.to_owned()),
    }
}

/// All settings, as `pg_settings` describes them.
pub(crate) fn catalog_rows() -> Vec<SettingRow> {
    let row = |it: &Setting| {
        let (kind, words, range) = match it.kind {
            Kind::Bool => ("bool", &[][..], None),
            Kind::Int(least, most) => ("integer", &[][..], Some((least, most))),
            Kind::Milliseconds(least) | Kind::Kilobytes(least) => {
                ("integer", &[][..], Some((least, i64::from(i32::MAX))))
            }
            Kind::Real => ("real", &[][..], None),
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
            unit: match it.kind {
                Kind::Milliseconds(_) => Some(SettingUnit::Milliseconds),
                Kind::Kilobytes(_) => Some(SettingUnit::Kilobytes),
                _ => None,
            },
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
        assert_eq!(settings.get("statement_timeout").expect("known"), "2s");
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
        assert_eq!(settings.get("timezone").expect("known"), "UTC");
    }

    #[test]
    fn a_block_that_rolls_back_takes_its_settings_with_it() {
        let mut settings = session();
        settings.enter_block();
        settings.set("application_name", "planner").expect("text");
        settings.leave_block(false);
        assert_eq!(settings.get("application_name").expect("known"), "");
    }
}
