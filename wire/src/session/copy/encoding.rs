//! Text in another encoding than UTF-8, on its way in or out.

use std::io::Read;

use rotabase_queries::error::{Result, SqlError, SqlState};

/// Bytes of ISO 8859-1, read as UTF-8.
pub(super) struct Latin1<R> {
    input: R,
    /// The second byte of a character whose first has been given.
    second: Option<u8>,
}

impl<R: Read> Latin1<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, second: None }
    }
}

impl<R: Read> Read for Latin1<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        if let (Some(first), Some(second)) = (out.first_mut(), self.second.take()) {
            *first = second;
            written = 1;
        }
        // A byte becomes two at most.
        let mut bytes = vec![0; ((out.len() - written) / 2).max(1)];
        if written == out.len() {
            return Ok(written);
        }
        let read = self.input.read(&mut bytes)?;
        for byte in &bytes[..read] {
            let mut buffer = [0; 2];
            for utf8 in char::from(*byte).encode_utf8(&mut buffer).bytes() {
                match out.get_mut(written) {
                    Some(place) => *place = utf8,
                    None => {
                        self.second = Some(utf8);
                        continue;
                    }
                }
                written += 1;
            }
        }
        Ok(written)
    }
}

/// Appends UTF-8 as ISO 8859-1.
pub(super) fn write_latin1(utf8: &[u8], out: &mut Vec<u8>) -> Result<()> {
    for character in String::from_utf8_lossy(utf8).chars() {
        let byte = u8::try_from(u32::from(character)).map_err(|_| {
            let mut buffer = [0; 4];
            let bytes: Vec<String> = character
                .encode_utf8(&mut buffer)
                .bytes()
                .map(|byte| format!("0x{byte:02x}"))
                .collect();
            let message = format!(
                "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                bytes.join(" ")
            );
            SqlError::new(SqlState("22P05"), message)
        })?;
        out.push(byte);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_whatever_is_read_at_a_time() {
        let bytes: Vec<u8> = (1..=255).collect();
        for size in 1..9 {
            let mut reader = Latin1::new(bytes.as_slice());
            let (mut utf8, mut buffer) = (Vec::new(), vec![0; size]);
            loop {
                let read = reader.read(&mut buffer).expect("memory");
                if read == 0 {
                    break;
                }
                utf8.extend_from_slice(&buffer[..read]);
            }
            let mut back = Vec::new();
            write_latin1(&utf8, &mut back).expect("Latin-1");
            assert_eq!(back, bytes);
        }
        assert!(write_latin1("€".as_bytes(), &mut Vec::new()).is_err());
    }
}
