//! Frames: what stands on a connection between machines.
//!
//! ```text
//! frame     length u32 . body . CRC-32C u32 over the body       numbers are big-endian
//! body      parcels, one after the other
//! parcel    length, kind u8, id, payload                         lengths and ids are varints
//! ```
//!
//! One frame carries whatever had gathered for a machine when its writer woke up, of whichever shards. A frame that is
//! too long, or whose checksum or parcels are wrong, ends the connection.

use std::io;

use bytes::Bytes;
use rotabase_engine::record::{CHECKSUM_BYTES, seal, unseal};
use rotabase_engine::varint::{Reader, write_unsigned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest payload of a parcel: a piece of the log, or of a statement.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// The longest frame.
pub const FRAME_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (1 << 20);

/// The bytes of parcels beyond which the next one goes into another frame.
pub const FRAME_BYTES_FULL: usize = 512 << 10;

const LENGTH_BYTES: usize = 4;

/// The kinds of parcels; their numbers are part of the protocol.
pub(super) mod kind {
    pub(crate) const APPEND: u8 = 1;
    pub(crate) const VOTE: u8 = 2;
    pub(crate) const PRE_VOTE: u8 = 3;
    pub(crate) const TRANSFER: u8 = 4;
    pub(crate) const STREAM_APPEND: u8 = 5;
    pub(crate) const STREAM_END: u8 = 6;
    pub(crate) const CALL: u8 = 7;
    pub(crate) const PING: u8 = 8;
    pub(crate) const ANSWER: u8 = 16;
    pub(crate) const FAILED: u8 = 17;
    pub(crate) const STREAM_ANSWER: u8 = 18;
    pub(crate) const STREAM_ENDED: u8 = 19;
    pub(crate) const PONG: u8 = 20;
}

/// A parcel as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read<'a> {
    pub(super) kind: u8,
    pub(super) id: u64,
    pub(super) payload: &'a [u8],
}

/// Begins a frame.
pub(super) fn begin() -> Vec<u8> {
    vec![0; LENGTH_BYTES]
}

/// Appends a parcel to a frame.
pub(super) fn put(frame: &mut Vec<u8>, kind: u8, id: u64, payload: &[u8]) {
    let mut head = vec![kind];
    write_unsigned(id, &mut head);
    let length = u64::try_from(head.len() + payload.len()).expect("a length fits 64 bits");
    write_unsigned(length, frame);
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
}

/// Ends a frame: its length and its checksum.
pub(super) fn end(mut frame: Vec<u8>) -> Vec<u8> {
    let body = frame.split_off(LENGTH_BYTES);
    let mut sealed = body;
    seal(&[], &mut sealed);
    let length = u32::try_from(sealed.len()).expect("FRAME_BYTES_MAX fits 32 bits");
    frame.copy_from_slice(&length.to_be_bytes());
    frame.append(&mut sealed);
    frame
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Reads the body of the next frame, of at most `bytes_max` bytes.
pub(super) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<Bytes> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if !(CHECKSUM_BYTES..=bytes_max).contains(&length) {
        return Err(malformed("a frame has no such length"));
    }
    // Room is made as bytes come: a length may be a lie.
    let mut sealed = Vec::with_capacity(length.min(FRAME_BYTES_FULL));
    let wanted = u64::try_from(length).expect("it was 32 bits");
    from.take(wanted).read_to_end(&mut sealed).await?;
    if sealed.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let body = unseal(&[], &sealed).ok_or_else(|| malformed("a frame has the wrong checksum"))?;
    let length = body.len();
    sealed.truncate(length);
    Ok(Bytes::from(sealed))
}

/// The parcels of a body, in order.
pub(super) fn parcels(body: &[u8]) -> io::Result<Vec<Read<'_>>> {
    let mut reader = Reader::new("a frame", body);
    let mut parcels = Vec::new();
    while reader.remaining() > 0 {
        parcels.push(parcel(&mut reader).map_err(|error| malformed(&error.to_string()))?);
    }
    Ok(parcels)
}

fn parcel<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, rotabase_engine::domain::DecodeError> {
    let mut inner = Reader::new("a parcel", reader.bytes()?);
    let (kind, id) = (inner.byte()?, inner.unsigned()?);
    Ok(Read { kind, id, payload: inner.take(inner.remaining())? })
}

/// A body of one parcel.
pub(super) fn single(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = begin();
    put(&mut frame, kind, 0, payload);
    end(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_now(bytes: &[u8]) -> io::Result<Bytes> {
        let mut from = bytes;
        futures::executor::block_on(read(&mut from, FRAME_BYTES_MAX))
    }

    /// Lengths and ids are unused where a length is none.
    fn write(parcels: &[(u8, u64, Vec<u8>)]) -> Vec<u8> {
        let mut frame = begin();
        for (kind, id, payload) in parcels {
            put(&mut frame, *kind, *id, payload);
        }
        end(frame)
    }

    proptest! {
        #[test]
        fn frames_read_back(parcels: Vec<(u8, u64, Vec<u8>)>) {
            let body = read_now(&write(&parcels)).unwrap();
            let read: Vec<_> = super::parcels(&body)
                .unwrap()
                .into_iter()
                .map(|it| (it.kind, it.id, it.payload.to_vec()))
                .collect();
            prop_assert_eq!(read, parcels);
        }

        #[test]
        fn a_frame_with_a_flipped_bit_is_an_error(
            parcels: Vec<(u8, u64, Vec<u8>)>, at: prop::sample::Index, bit in 0..8,
        ) {
            let mut frame = write(&parcels);
            let at = at.index(frame.len());
            frame[at] ^= 1_u8 << bit;
            prop_assert!(read_now(&frame).is_err());
        }

        #[test]
        fn any_bytes_are_parcels_or_an_error(bytes: Vec<u8>) {
            let _ = super::parcels(&bytes);
            let _ = read_now(&bytes);
        }
    }
}
