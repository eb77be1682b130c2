//! A client that says exactly what it is told to, and reports what it hears letter by letter.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A connection without any manners.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    received: Vec<u8>,
}

/// A message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) letter: u8,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// A field of an error or a notice.
    pub(crate) fn field(&self, name: u8) -> Option<String> {
        let fields = self.body.split(|byte| *byte == 0);
        let found = fields.into_iter().find(|field| field.first() == Some(&name))?;
        Some(String::from_utf8_lossy(&found[1..]).into_owned())
    }
}

impl Client {
    pub(crate) async fn raw(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        Self { socket, received: Vec::new() }
    }

    /// Connects and logs in as a role that is trusted.
    pub(crate) async fn connect(port: u16) -> Self {
        let mut client = Self::raw(port).await;
        client.send(&startup(3 << 16, &["user", "rotabase"])).await;
        assert!(client.until_ready().await.ends_with("Z:I"));
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("the server reads");
    }

    /// The next message; none if the server has closed the connection.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            if self.received.len() >= 5 {
                let length =
                    i32::from_be_bytes(self.received[1..5].try_into().expect("four bytes"));
                let end = 1 + usize::try_from(length).expect("a length");
                if self.received.len() >= end {
                    let rest = self.received.split_off(end);
                    let message = std::mem::replace(&mut self.received, rest);
                    return Some(Message { letter: message[0], body: message[5..].to_vec() });
                }
            }
            let read = self.socket.read_buf(&mut self.received);
            let read = tokio::time::timeout(PATIENCE, read).await.expect("the server answers");
            if !matches!(read, Ok(count) if count > 0) {
                return None;
            }
        }
    }

    /// What the server says up to ReadyForQuery or its end, in short.
    pub(crate) async fn until_ready(&mut self) -> String {
        let mut words = Vec::new();
        loop {
            let Some(message) = self.message().await else {
                words.push("closed".to_owned());
                return words.join(" ");
            };
            let text =
                || String::from_utf8_lossy(&message.body).trim_end_matches('\0').replace(' ', "_");
            words.push(match message.letter {
                b'E' | b'N' => format!(
                    "{}:{}",
                    char::from(message.letter),
                    message.field(b'C').unwrap_or_default()
                ),
                b'C' | b'Z' => format!("{}:{}", char::from(message.letter), text()),
                letter => char::from(letter).to_string(),
            });
            if message.letter == b'Z' {
                return words.join(" ");
            }
        }
    }

    /// Sends messages and reports what comes back up to the last ReadyForQuery.
    pub(crate) async fn say(&mut self, messages: &[Vec<u8>]) -> String {
        self.send(&messages.concat()).await;
        let ends =
            messages.iter().filter(|message| matches!(message[0], b'S' | b'Q' | b'F')).count();
        let mut answers = Vec::new();
        for _ in 0..ends.max(1) {
            answers.push(self.until_ready().await);
        }
        answers.join(" ")
    }
}

pub(crate) fn startup(version: i32, texts: &[&str]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for text in texts {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = (i32::try_from(body.len()).expect("short") + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

pub(crate) fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![letter];
    bytes.extend((i32::try_from(body.len()).expect("short") + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Bind with parameters, their formats and the results' formats.
pub(crate) fn bind(
    portal: &str,
    statement: &str,
    formats: &[i16],
    values: &[Option<&[u8]>],
    results: &[i16],
) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    let count = |count: usize| i16::try_from(count).expect("few").to_be_bytes();
    body.extend(count(formats.len()));
    body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    body.extend(count(values.len()));
    for value in values {
        match value {
            Some(bytes) => {
                body.extend(i32::try_from(bytes.len()).expect("short").to_be_bytes());
                body.extend(*bytes);
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend(count(results.len()));
    body.extend(results.iter().flat_map(|format| format.to_be_bytes()));
    message(b'B', &body)
}

pub(crate) fn execute(portal: &str, limit: i32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(limit.to_be_bytes());
    message(b'E', &body)
}

pub(crate) fn describe(kind: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{kind}{name}\0").as_bytes())
}

pub(crate) fn close(kind: char, name: &str) -> Vec<u8> {
    message(b'C', format!("{kind}{name}\0").as_bytes())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}
