//! How the values of settings are checked, and the form in which they are kept: the one that `SHOW` prints.

use rotabase_engine::position::Positions;
use rotabase_queries::catalog::setting_unit::{SettingUnit, Unreadable, read_integer};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::types::datetime::{DateStyle, zone};
use rotabase_queries::types::{Datum, PgType, text};

use super::table::{Kind, SERVER_SCHEMA, Setting, display_name};

/// The error of a value that a setting cannot have.
pub(super) fn bad_value(setting: &Setting, value: &str) -> SqlError {
    let message =
        format!("invalid value for parameter \"{}\": \"{value}\"", display_name(setting.name));
    let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    match setting.kind {
        Kind::Word(words) if setting.name != "client_encoding" => {
            error.with_hint(format!("Available values: {}.", words.join(", ")))
        }
        _ => error,
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Checks a value and gives it the form in which it is kept. An instant is the session's business.
pub(super) fn normalise(setting: &Setting, value: &str, settings: &Settings) -> Result<String> {
    let bad = || bad_value(setting, value);
    match setting.kind {
        Kind::Text | Kind::List | Kind::Instant => Ok(value.to_owned()),
        Kind::TimeZone => time_zone_name(value).ok_or_else(bad),
        Kind::DateStyle => DateStyle::parse(value, settings.date_style)
            .map(DateStyle::name)
            .map_err(|detail| bad().with_detail(detail)),
        Kind::Position => value.parse::<Positions>().map(|_| value.to_owned()).map_err(|_| bad()),
        Kind::Fixed if value == setting.default => Ok(value.to_owned()),
        Kind::Fixed => {
            let message = format!("parameter \"{}\" cannot be changed", display_name(setting.name));
            Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message))
        }
        Kind::Bool => boolean(value).map(str::to_owned).ok_or_else(|| {
            invalid(format!(
                "parameter \"{}\" requires a Boolean value",
                display_name(setting.name)
            ))
        }),
        Kind::Int(least, most) => integer(setting, value, None, (least, most)),
        Kind::Milliseconds(least) => {
            integer(setting, value, Some(SettingUnit::Milliseconds), (least, i64::from(i32::MAX)))
        }
        Kind::Kilobytes(least) => {
            integer(setting, value, Some(SettingUnit::Kilobytes), (least, i64::from(i32::MAX)))
        }
        Kind::Real => {
            let number: f64 = value.trim().parse().map_err(|_| bad())?;
            if (0.0..=f64::MAX).contains(&number) {
                return Ok(number.to_string());
            }
            let name = display_name(setting.name);
            Err(invalid(format!(
                "{number} is outside the valid range for parameter \"{name}\" (0 .. 1.79769e+308)"
            )))
        }
        Kind::Word(_) if setting.name == "client_encoding" => {
            // PostgreSQL reads encodings without regard to case and to what is no letter and no digit.
            let mut name = value.to_ascii_lowercase();
            name.retain(|it| it.is_ascii_alphanumeric());
            let known = ["utf8", "unicode"].contains(&name.as_str());
            if known { Ok("UTF8".to_owned()) } else { Err(bad()) }
        }
        Kind::Word(words) => {
            let lower = value.to_ascii_lowercase();
            let word = match boolean(&lower) {
                Some(word) if words.contains(&word) => word,
                _ => &lower,
            };
            if words.contains(&word) { Ok(word.to_owned()) } else { Err(bad()) }
        }
    }
}

/// `on` or `off`, from any beginning of PostgreSQL's words that is of one only.
fn boolean(value: &str) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if value == "1" || begins("true", 1) || begins("yes", 1) || begins("on", 2) {
        Some("on")
    } else if value == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        Some("off")
    } else {
        None
    }
}

fn integer(
    setting: &Setting,
    value: &str,
    unit: Option<SettingUnit>,
    (least, most): (i64, i64),
) -> Result<String> {
    let number = read_integer(value, unit).map_err(|unreadable: Unreadable| {
        let error = bad_value(setting, value);
        match unreadable.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })?;
    if (least..=most).contains(&number) {
        return Ok(unit.map_or_else(|| number.to_string(), |unit| unit.show(number)));
    }
    let name = display_name(setting.name);
    let unit = unit.map(|unit| format!(" {}", unit.name())).unwrap_or_default();
    Err(invalid(format!(
        "{number}{unit} is outside the valid range for parameter \"{name}\" ({least} .. {most})"
    )))
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
        let zone = zone::find(value)?;
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

/// The schemas of a `search_path`, `"$user"` replaced. The user `rotabase` has no schema of its own: the schema of
/// that name is the server's.
pub(super) fn search_path(value: &str, user: &str) -> Vec<String> {
    value
        .split(',')
        .map(|part| part.trim().trim_matches(|quote| quote == '"' || quote == '\'').to_owned())
        .filter(|part| !part.is_empty() && (part != "$user" || user != SERVER_SCHEMA))
        .map(|part| if part == "$user" { user.to_owned() } else { part })
        .collect()
}
