//! Values as bytes between machines. Both ends speak the same version of the protocol, so that no field needs a tag;
//! reading trusts nothing: any bytes give a value or an error, and take no more memory than they have earned.

use std::time::Duration;

use bytes::Bytes;
use rotabase_engine::domain::DecodeError;
use rotabase_engine::entry::{Attempt, Metadata, Parts};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId, Version};
use rotabase_engine::varint::{Reader, write_bytes, write_signed, write_unsigned};
use uuid::Uuid;

use crate::flight::PartOutcome;
use crate::request::{Decided, Outcome};
use crate::reservation::WriteId;
use crate::shard::{DecisionAnswer, PartDecided, Verdict, Wish};
use crate::type_config::{Machine, MachineId};

type Read<T> = Result<T, DecodeError>;

/// A value that travels.
pub(crate) trait Travel: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(from: &mut Reader<'_>) -> Read<Self>;
}

/// The bytes of a value.
pub(crate) fn pack<T: Travel>(value: &T) -> Bytes {
    let mut out = Vec::new();
    value.put(&mut out);
    Bytes::from(out)
}

/// The value of bytes that hold nothing else.
pub(crate) fn unpack<T: Travel>(bytes: &[u8]) -> Read<T> {
    let mut from = Reader::new("a message", bytes);
    let value = T::get(&mut from)?;
    from.finish()?;
    Ok(value)
}

macro_rules! travels_as_number {
    ($($type:ty),*) => {$(
        impl Travel for $type {
            fn put(&self, out: &mut Vec<u8>) {
                write_unsigned(u64::try_from(*self).expect("at most 64 bits"), out);
            }
            fn get(from: &mut Reader<'_>) -> Read<Self> {
                from.unsigned_as()
            }
        }
    )*};
}

travels_as_number!(u16, u32, u64, usize);

/// A struct of one field or more that travels field after field.
macro_rules! travels_by_fields {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Travel for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn get(from: &mut Reader<'_>) -> Read<Self> {
                Ok(Self { $($field: Travel::get(from)?),* })
            }
        }
    )*};
}

macro_rules! travels_as_inner {
    ($($type:ident),*) => {$(
        impl Travel for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn get(from: &mut Reader<'_>) -> Read<Self> {
                Travel::get(from).map(Self)
            }
        }
    )*};
}

travels_as_inner!(ShardId, Version, MachineId, Attempt, Parts, WriteId);

/// Indexes and times from here on are no machine's: arithmetic on them could overflow.
const NUMBER_END: u64 = 1 << 62;

macro_rules! travels_below_the_end {
    ($($type:ident up to $end:expr;)*) => {$(
        impl Travel for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn get(from: &mut Reader<'_>) -> Read<Self> {
                match u64::get(from)? {
                    number if number < $end => Ok(Self(number)),
                    number => Err(from.error(format!("{number} is too high"))),
                }
            }
        }
    )*};
}

travels_below_the_end! {
    Timestamp up to NUMBER_END;
    LogIndex up to NUMBER_END >> rotabase_engine::position::ORDINAL_BITS;
}

travels_by_fields! {
    Machine { id, address }
    Metadata { user, application, correlation, transaction }
    Verdict { commit, timestamp, parts }
    PartOutcome { position, timestamp, committed, refused, leader, unknown }
    PartDecided { versions, emitted, bytes, entries, prepared }
    Decided { versions, emitted }
    Outcome { versions, emitted, positions, timestamp, transaction }
}

impl Travel for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            flag => Err(from.error(format!("{flag} is no flag"))),
        }
    }
}

impl Travel for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        from.array().map(Self::from_be_bytes)
    }
}

impl Travel for Uuid {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        from.array().map(Self::from_bytes)
    }
}

impl Travel for String {
    fn put(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        from.text().map(str::to_owned)
    }
}

impl Travel for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        u64::get(from).map(Self::from_millis)
    }
}

impl Travel for Position {
    fn put(&self, out: &mut Vec<u8>) {
        write_signed(self.to_i64(), out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let value = from.signed()?;
        Self::from_i64(value).ok_or_else(|| from.error(format!("{value} is no position")))
    }
}

impl Travel for Positions {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().collect::<Vec<_>>().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let mut positions = Self::default();
        for (shard, position) in Vec::<(ShardId, Position)>::get(from)? {
            positions.advance(shard, position);
        }
        Ok(positions)
    }
}

impl<T: Travel> Travel for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        if bool::get(from)? { T::get(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Travel> Travel for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for value in self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        // No room is made in advance: a count may be a lie, and each value takes a byte at least.
        let mut values = Self::new();
        for _ in 0..usize::get(from)? {
            values.push(T::get(from)?);
        }
        Ok(values)
    }
}

impl<A: Travel, B: Travel> Travel for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

impl<T: Travel, E: Travel> Travel for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(if bool::get(from)? { Ok(T::get(from)?) } else { Err(E::get(from)?) })
    }
}

impl Travel for () {
    fn put(&self, _out: &mut Vec<u8>) {}

    fn get(_from: &mut Reader<'_>) -> Read<Self> {
        Ok(())
    }
}

impl Travel for Wish {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Abort => false.put(out),
            Self::Commit { write, after, parts, own_part } => {
                true.put(out);
                write.put(out);
                after.put(out);
                parts.put(out);
                own_part.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        if !bool::get(from)? {
            return Ok(Self::Abort);
        }
        Ok(Self::Commit {
            write: Travel::get(from)?,
            after: Travel::get(from)?,
            parts: Travel::get(from)?,
            own_part: Travel::get(from)?,
        })
    }
}

impl Travel for DecisionAnswer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Decided { verdict, position } => {
                out.push(0);
                verdict.put(out);
                position.put(out);
            }
            Self::Refused(leader) => {
                out.push(1);
                leader.put(out);
            }
            Self::Unknown => out.push(2),
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        match from.byte()? {
            0 => Ok(Self::Decided { verdict: Travel::get(from)?, position: Travel::get(from)? }),
            1 => Ok(Self::Refused(Travel::get(from)?)),
            2 => Ok(Self::Unknown),
            kind => Err(from.error(format!("{kind} is no answer to a question for a decision"))),
        }
    }
}
