//! The domain: books that are lent and come back.

use std::fmt;

use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};
use rotabase_engine::varint::{Reader, write_bytes};

/// A lending library. Each book is an aggregate, known by its shelf mark.
#[derive(Debug)]
pub(crate) struct Library;

/// A shelf mark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShelfMark(pub(crate) String);

impl fmt::Display for ShelfMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A book: where it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Book {
    Unknown,
    OnShelf,
    LentTo(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Acquire,
    Lend { reader: String },
    TakeBack,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Acquired,
    Lent { reader: String },
    TakenBack,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the library has no book {0}")]
    Unknown(ShelfMark),
    #[error("book {0} is lent to {1}")]
    Lent(ShelfMark, String),
}

impl Domain for Library {
    type Id = ShelfMark;
    type State = Book;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn initial(_: &ShelfMark) -> Book {
        Book::Unknown
    }

    fn decide(id: &ShelfMark, book: &Book, command: &Command) -> Result<Events<Self>, Refusal> {
        let event = match (command, book) {
            (Command::Acquire, Book::Unknown) => Some(Event::Acquired),
            (Command::Acquire, Book::OnShelf | Book::LentTo(_))
            | (Command::TakeBack, Book::OnShelf) => None,
            (Command::Lend { .. } | Command::TakeBack, Book::Unknown) => {
                return Err(Refusal::Unknown(id.clone()));
            }
            (Command::Lend { reader }, Book::OnShelf) => {
                Some(Event::Lent { reader: reader.clone() })
            }
            (Command::Lend { reader }, Book::LentTo(holder)) if reader == holder => None,
            (Command::Lend { .. }, Book::LentTo(holder)) => {
                return Err(Refusal::Lent(id.clone(), holder.clone()));
            }
            (Command::TakeBack, Book::LentTo(_)) => Some(Event::TakenBack),
        };
        Ok(event.into_iter().collect())
    }

    fn evolve(book: &mut Book, event: &Event) {
        *book = match event {
            Event::Acquired | Event::TakenBack => Book::OnShelf,
            Event::Lent { reader } => Book::LentTo(reader.clone()),
        };
    }

    fn encode_id(id: &ShelfMark, out: &mut Vec<u8>) {
        out.extend_from_slice(id.0.as_bytes());
    }

    fn decode_id(bytes: &[u8]) -> Result<ShelfMark, DecodeError> {
        let mark = std::str::from_utf8(bytes).map_err(|_| damaged("a shelf mark"))?;
        Ok(ShelfMark(mark.to_owned()))
    }

    fn encode_command(command: &Command, out: &mut Vec<u8>) {
        match command {
            Command::Acquire => out.push(1),
            Command::Lend { reader } => {
                out.push(2);
                write_bytes(reader.as_bytes(), out);
            }
            Command::TakeBack => out.push(3),
        }
    }

    fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
        let mut reader = Reader::new("a command", bytes);
        match reader.byte()? {
            1 => Ok(Command::Acquire),
            2 => Ok(Command::Lend { reader: reader.text()?.to_owned() }),
            3 => Ok(Command::TakeBack),
            _ => Err(damaged("a command")),
        }
    }

    fn encode_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
        let (mark, holder) = match refusal {
            Refusal::Unknown(mark) => (mark, None),
            Refusal::Lent(mark, holder) => (mark, Some(holder)),
        };
        write_bytes(mark.0.as_bytes(), out);
        if let Some(holder) = holder {
            write_bytes(holder.as_bytes(), out);
        }
    }

    fn decode_refusal(bytes: &[u8]) -> Result<Refusal, DecodeError> {
        let mut reader = Reader::new("a refusal", bytes);
        let mark = ShelfMark(reader.text()?.to_owned());
        Ok(if reader.remaining() == 0 {
            Refusal::Unknown(mark)
        } else {
            Refusal::Lent(mark, reader.text()?.to_owned())
        })
    }

    fn encode_event(event: &Event, out: &mut Vec<u8>) -> EventKind {
        let event_type = match event {
            Event::Acquired => 1,
            Event::Lent { reader } => {
                write_bytes(reader.as_bytes(), out);
                2
            }
            Event::TakenBack => 3,
        };
        EventKind { event_type, schema_version: 1 }
    }

    fn decode_event(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader::new("a loan", payload);
        let event = match (kind.event_type, kind.schema_version) {
            (1, 1) => Event::Acquired,
            (2, 1) => Event::Lent { reader: reader.text()?.to_owned() },
            (3, 1) => Event::TakenBack,
            _ => return Err(damaged("an event")),
        };
        reader.finish()?;
        Ok(event)
    }

    fn encode_state(book: &Book, out: &mut Vec<u8>) {
        match book {
            Book::Unknown => out.push(0),
            Book::OnShelf => out.push(1),
            Book::LentTo(reader) => {
                out.push(2);
                write_bytes(reader.as_bytes(), out);
            }
        }
    }

    fn decode_state(_: &ShelfMark, bytes: &[u8]) -> Result<Book, DecodeError> {
        let mut reader = Reader::new("a book", bytes);
        match reader.byte()? {
            0 => Ok(Book::Unknown),
            1 => Ok(Book::OnShelf),
            2 => Ok(Book::LentTo(reader.text()?.to_owned())),
            _ => Err(damaged("a book")),
        }
    }

    fn state_bytes(book: &Book) -> usize {
        size_of::<Book>() + if let Book::LentTo(reader) = book { reader.len() } else { 0 }
    }
}

fn damaged(what: &'static str) -> DecodeError {
    DecodeError { what, reason: "the bytes are not its own".to_owned() }
}
