//! The start of a connection, before there is a session: encryption, protocol version, who it is.

use std::sync::Arc;

use rotabase_queries::error::{SqlError, SqlState};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;

use super::failure::{Failure, Outcome};
use super::input::{Body, Input};
use super::limits::{SMALL_MESSAGE_BYTES_MAX, STARTUP_BYTES_MAX};
use super::output::{Output, put_text};
use super::registry::Registry;
use super::stream::Stream;
use super::tls::{Tls, accept_at_once};

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const PROTOCOL_MAJOR: u32 = 3;
const PROTOCOL_MINOR_NEWEST: u32 = 2;
/// A TLS record of a handshake: a client of PostgreSQL 17 may begin with TLS at once.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client said in its start-up packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StartupPacket {
    /// The minor protocol version that is spoken: 0 or 2.
    pub(crate) minor: u32,
    /// Whether the client has to be told, because it asked for more.
    pub(crate) negotiate: bool,
    /// The protocol options that we do not know.
    pub(crate) unknown_options: Vec<String>,
    /// The role.
    pub(crate) user: String,
    /// The database.
    pub(crate) database: String,
    /// The other parameters, `options` taken apart.
    pub(crate) settings: Vec<(String, String)>,
}

/// A client that wants a session.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) stream: Stream,
    pub(crate) input: Input,
    pub(crate) packet: StartupPacket,
    /// Whether it has shown a node's certificate.
    pub(crate) is_node: bool,
}

/// Negotiates with a new client until it says who it is. None if it only wanted to cancel something.
pub(crate) async fn greet(
    socket: TcpStream,
    (tls, nodes): (Option<&Tls>, Option<&Arc<ServerConfig>>),
    registry: &Registry,
    refused: &mut Option<Stream>,
) -> Outcome<Option<Greeting>> {
    let mut first = [0];
    let begins_with_tls =
        matches!(socket.peek(&mut first).await, Ok(1)) && first[0] == TLS_HANDSHAKE;
    let (mut stream, is_node) = if begins_with_tls {
        let accepted = accept_at_once(socket, tls, nodes).await.map_err(not_negotiated)?;
        (Stream::Tls(Box::new(accepted.0)), accepted.1)
    } else {
        (Stream::Plain(socket), false)
    };
    let greeted = negotiate(&mut stream, tls, registry).await;
    match greeted {
        Ok(Some((input, packet))) => Ok(Some(Greeting { stream, input, packet, is_node })),
        Ok(None) => Ok(None),
        Err(failure) => {
            *refused = Some(stream);
            Err(failure)
        }
    }
}

async fn negotiate(
    stream: &mut Stream,
    tls: Option<&Tls>,
    registry: &Registry,
) -> Outcome<Option<(Input, StartupPacket)>> {
    let mut input = Input::new(SMALL_MESSAGE_BYTES_MAX);
    let (mut asked_ssl, mut asked_gss) = (false, false);
    loop {
        let length = packet_length(stream, &mut input).await?;
        let packet = input.pending()[4..length].to_vec();
        input.consume(length);
        let mut body = Body::new(&packet);
        let code = body.oid().map_err(Failure::fatal)?;
        match code {
            SSL_REQUEST if !asked_ssl => {
                asked_ssl = true;
                if input.len() > 0 {
                    // What came in the clear must not be taken for what came encrypted (CVE-2021-23214).
                    return Err(Failure::out_of_step(
                        "received unencrypted data after SSL request",
                    ));
                }
                let encrypts = tls.is_some() && matches!(stream, Stream::Plain(_));
                answer(stream, if encrypts { b'S' } else { b'N' }).await?;
                if encrypts {
                    let plain = std::mem::replace(stream, Stream::Closed);
                    *stream = encrypt(plain, tls).await?;
                    input = Input::new(SMALL_MESSAGE_BYTES_MAX);
                }
            }
            GSS_REQUEST if !asked_gss => {
                asked_gss = true;
                answer(stream, b'N').await?;
            }
            CANCEL_REQUEST => {
                if let Ok(pid) = body.int32() {
                    registry.cancel(pid, body.rest());
                }
                return Ok(None);
            }
            _ => return Ok(Some((input, parse(code, body).map_err(Failure::fatal)?))),
        }
    }
}

/// Waits until a whole start-up packet is there; its length with its own four bytes.
async fn packet_length(stream: &mut Stream, input: &mut Input) -> Outcome<usize> {
    loop {
        if let [a, b, c, d, ..] = *input.pending() {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if !(8..=STARTUP_BYTES_MAX).contains(&length) {
                return Err(Failure::out_of_step("invalid length of startup packet"));
            }
            if input.len() >= length {
                return Ok(length);
            }
        }
        match stream.read(input.for_reading()).await {
            Ok(count) if count > 0 => {}
            _ => return Err(Failure::Gone),
        }
    }
}

async fn answer(stream: &mut Stream, letter: u8) -> Outcome<()> {
    stream.write(&[letter]).await.map_err(|_| Failure::Gone)
}

async fn encrypt(stream: Stream, tls: Option<&Tls>) -> Outcome<Stream> {
    match (stream, tls) {
        (Stream::Plain(socket), Some(tls)) => match tls.accept(socket).await {
            Ok(encrypted) => Ok(Stream::Tls(Box::new(encrypted))),
            Err(error) => Err(not_negotiated(error)),
        },
        _ => Err(Failure::Gone),
    }
}

fn not_negotiated(error: std::io::Error) -> Failure {
    tracing::debug!(%error, "could not negotiate TLS");
    Failure::Gone
}

fn parse(version: u32, mut body: Body<'_>) -> Result<StartupPacket, SqlError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != PROTOCOL_MAJOR {
        let message =
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    // 3.1 was never specified.
    let spoken = if minor >= PROTOCOL_MINOR_NEWEST { PROTOCOL_MINOR_NEWEST } else { 0 };
    let mut packet =
        StartupPacket { minor: spoken, negotiate: minor != spoken, ..StartupPacket::default() };
    loop {
        let name = body.text()?;
        if name.is_empty() {
            break;
        }
        let value = body.text()?;
        match name {
            "user" => value.clone_into(&mut packet.user),
            "database" => value.clone_into(&mut packet.database),
            "options" => parse_options(value, &mut packet.settings)?,
            "replication" => check_replication(value)?,
            _ if name.starts_with("_pq_.") => packet.unknown_options.push(name.to_owned()),
            _ => packet.settings.push((name.to_owned(), value.to_owned())),
        }
    }
    if !body.rest().is_empty() {
        let message = "invalid startup packet layout: expected terminator as last byte";
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    }
    if packet.user.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    }
    if packet.database.is_empty() {
        packet.database.clone_from(&packet.user);
    }
    packet.negotiate |= !packet.unknown_options.is_empty();
    Ok(packet)
}

fn check_replication(value: &str) -> Result<(), SqlError> {
    match value.to_ascii_lowercase().as_str() {
        "false" | "off" | "no" | "0" | "f" | "n" => Ok(()),
        _ => Err(SqlError::unsupported("replication connections are not offered")
            .with_hint("Use COPY (SUBSCRIBE TO events) TO STDOUT.")),
    }
}

/// Takes `-c name=value` and `--name=value` apart; a backslash takes the next character as it is.
fn parse_options(options: &str, settings: &mut Vec<(String, String)>) -> Result<(), SqlError> {
    let mut words = split_options(options).into_iter();
    while let Some(word) = words.next() {
        let invalid = || {
            let message = format!("invalid command-line argument for server process: {word}");
            SqlError::new(SqlState::SYNTAX_ERROR, message)
        };
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(invalid)?,
            Some(assignment) => assignment.to_owned(),
            None => return Err(invalid()),
        };
        let (name, value) = assignment.split_once('=').ok_or_else(invalid)?;
        settings.push((name.trim().replace('-', "_"), value.to_owned()));
    }
    Ok(())
}

fn split_options(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_with(String::new).extend(characters.next()),
            _ if character.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_with(String::new).push(character),
        }
    }
    words.extend(word);
    words
}

/// Writes NegotiateProtocolVersion: the newest version that we speak, and what we do not know.
pub(crate) fn put_negotiation(output: &mut Output, packet: &StartupPacket) {
    output.message(b'v', |body| {
        body.extend_from_slice(&(PROTOCOL_MAJOR << 16 | packet.minor).to_be_bytes());
        let count =
            u32::try_from(packet.unknown_options.len()).expect("a start-up packet is short");
        body.extend_from_slice(&count.to_be_bytes());
        for option in &packet.unknown_options {
            put_text(body, option);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(minor: u32, parameters: &[&str]) -> Result<StartupPacket, SqlError> {
        let mut bytes = Vec::new();
        for text in parameters {
            put_text(&mut bytes, text);
        }
        bytes.push(0);
        parse(3 << 16 | minor, Body::new(&bytes))
    }

    #[test]
    fn the_database_is_named_after_the_user_unless_it_is_given() {
        assert_eq!(packet(0, &["user", "anna"]).unwrap().database, "anna");
        assert_eq!(packet(0, &["user", "anna", "database", "x"]).unwrap().database, "x");
        assert_eq!(packet(0, &[]).unwrap_err().state.0, "28000");
    }

    #[test]
    fn a_version_that_we_do_not_speak_is_negotiated_down() {
        for (asked, spoken, negotiated) in
            [(0, 0, false), (1, 0, true), (2, 2, false), (9999, 2, true)]
        {
            let packet = packet(asked, &["user", "anna"]).unwrap();
            assert_eq!((packet.minor, packet.negotiate), (spoken, negotiated));
        }
        assert!(packet(0, &["user", "a", "_pq_.x", "1"]).unwrap().negotiate);
    }

    #[test]
    fn options_are_taken_apart() {
        let packet = packet(0, &["user", "a", "options", r"-c a=1 -cb=x\ y  --c-d=2"]).unwrap();
        let expected = [("a", "1"), ("b", "x y"), ("c_d", "2")];
        assert_eq!(
            packet.settings,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn replication_is_refused() {
        assert_eq!(
            packet(0, &["user", "a", "replication", "database"]).unwrap_err().state.0,
            "0A000"
        );
        assert!(packet(0, &["user", "a", "replication", "off"]).is_ok());
    }
}
