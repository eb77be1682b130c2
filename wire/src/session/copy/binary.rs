//! PostgreSQL's binary COPY format, read from a stream that may be cut anywhere.
//! Source: PostgreSQL 15, SQL command COPY, "Binary Format".

use rotabase_queries::error::{Result, SqlError, SqlState};

use super::record::{RECORD_BYTES_MAX, Record};

/// The eleven bytes that a file begins with.
pub(crate) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Cuts a binary stream into records.
#[derive(Debug, Default)]
pub(crate) struct BinaryRecords {
    buffer: Vec<u8>,
    state: State,
    record: Record,
    number: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    Extension(usize),
    Records,
    End,
}

impl BinaryRecords {
    /// Reads a piece of the stream and hands over each record that ends in it.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(read) = self.step(at, take)? {
            at += read;
        }
        self.buffer.drain(..at);
        if self.buffer.len() > RECORD_BYTES_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a record is longer than {RECORD_BYTES_MAX} bytes"),
            ));
        }
        Ok(())
    }

    /// Ends the stream; without its trailer it is incomplete.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.state == State::End { Ok(()) } else { Err(bad("unexpected EOF in COPY data")) }
    }

    /// The record that is being read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number + 1
    }

    /// Reads one part of the stream from `at`; the bytes it took, or none if more is needed.
    fn step(
        &mut self,
        at: usize,
        take: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<Option<usize>> {
        let rest = &self.buffer[at..];
        match self.state {
            State::Header => {
                if rest.len() < SIGNATURE.len() + 8 {
                    return if SIGNATURE.starts_with(&rest[..rest.len().min(11)]) {
                        Ok(None)
                    } else {
                        Err(bad("COPY file signature not recognized"))
                    };
                }
                if &rest[..11] != SIGNATURE {
                    return Err(bad("COPY file signature not recognized"));
                }
                let flags = int4(rest, 11).unwrap_or(0);
                if flags & (1 << 16) != 0 {
                    return Err(bad("invalid COPY file header (WITH OIDS)"));
                }
                if flags >> 16 != 0 {
                    return Err(bad("unrecognized critical flags in COPY file header"));
                }
                let extension = int4(rest, 15).and_then(|length| usize::try_from(length).ok());
                self.state = State::Extension(
                    extension.ok_or_else(|| bad("invalid COPY file header (missing length)"))?,
                );
                Ok(Some(19))
            }
            State::Extension(0) => {
                self.state = State::Records;
                Ok(Some(0))
            }
            State::Extension(left) => {
                let taken = left.min(rest.len());
                self.state = State::Extension(left - taken);
                Ok((taken > 0).then_some(taken))
            }
            State::Records => self.record(at, take),
            State::End if rest.is_empty() => Ok(None),
            State::End => Err(bad("received copy data after EOF marker")),
        }
    }

    fn record(
        &mut self,
        at: usize,
        take: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<Option<usize>> {
        let rest = &self.buffer[at..];
        let Some(count) = rest.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes)) else {
            return Ok(None);
        };
        if count == -1 {
            self.state = State::End;
            return Ok(Some(2));
        }
        self.record.start(self.number + 1);
        let mut offset = 2;
        for _ in 0..count {
            let Some(length) = int4(rest, offset) else { return Ok(None) };
            offset += 4;
            if length == -1 {
                self.record.end_field(true);
                continue;
            }
            let length = usize::try_from(length).map_err(|_| bad("invalid field size"))?;
            if length > RECORD_BYTES_MAX {
                return Err(bad("invalid field size"));
            }
            let Some(bytes) = rest.get(offset..offset + length) else { return Ok(None) };
            self.record.extend(bytes);
            self.record.end_field(false);
            offset += length;
        }
        self.number += 1;
        take(&self.record)?;
        Ok(Some(offset))
    }
}

fn int4(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

fn bad(message: &str) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut file = SIGNATURE.to_vec();
        file.extend([0, 0, 0, 0, 0, 0, 0, 2, 9, 9]);
        file.extend([0, 2, 0, 0, 0, 3]);
        file.extend(b"FRA");
        file.extend([255; 4]);
        file.extend([255, 255]);
        file
    }

    #[test]
    fn records_come_out_however_the_stream_is_cut() {
        for cut in 1..=file().len() {
            let mut records = BinaryRecords::default();
            let mut rows = Vec::new();
            for piece in file().chunks(cut) {
                let mut take = |record: &Record| {
                    rows.push((
                        record.field(0).map(<[u8]>::to_vec),
                        record.field(1).map(<[u8]>::to_vec),
                    ));
                    Ok(())
                };
                records.feed(piece, &mut take).expect("good input");
            }
            records.finish().expect("complete");
            assert_eq!(rows, [(Some(b"FRA".to_vec()), None)], "cut into {cut}");
        }
    }

    #[test]
    fn what_is_no_copy_file_is_refused() {
        let mut records = BinaryRecords::default();
        assert!(records.feed(b"PGCOPX", &mut |_| Ok(())).is_err());
        let mut records = BinaryRecords::default();
        records.feed(&file()[..20], &mut |_| Ok(())).expect("so far");
        assert!(records.finish().is_err());
    }
}
