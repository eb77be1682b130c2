//! COPY input on its way: in memory while it is small, in a temporary file when it is not.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use rotabase_queries::error::{Result, SqlError, SqlState};

/// The bytes of input that are kept in memory; what is longer goes to a file.
pub(crate) const SPOOL_MEMORY_MAX: usize = 4 << 20;

/// The bytes of input that one COPY may have.
pub(crate) const SPOOL_BYTES_MAX: u64 = 1 << 40;

/// All input of a COPY, in order.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    bytes: u64,
}

impl Spool {
    /// Appends a piece.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
        if self.bytes > SPOOL_BYTES_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("COPY takes at most {SPOOL_BYTES_MAX} bytes"),
            ));
        }
        self.memory.extend_from_slice(data);
        if self.memory.len() > SPOOL_MEMORY_MAX {
            self.flush().map_err(|error| disk_error(&error))?;
        }
        Ok(())
    }

    /// The number of bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The input from its beginning.
    pub(crate) fn into_reader(mut self) -> Result<Box<dyn Read + Send>> {
        if self.file.is_some() {
            self.flush().map_err(|error| disk_error(&error))?;
        }
        match self.file {
            None => Ok(Box::new(Cursor::new(self.memory))),
            Some(mut file) => {
                file.seek(SeekFrom::Start(0)).map_err(|error| disk_error(&error))?;
                Ok(Box::new(file))
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(anonymous_file()?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

/// A file without a name: it is gone with the process, however that ends.
fn anonymous_file() -> std::io::Result<File> {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rotabase-copy-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

pub(crate) fn disk_error(error: &std::io::Error) -> SqlError {
    let state = if error.kind() == std::io::ErrorKind::StorageFull {
        SqlState::DISK_FULL
    } else {
        SqlState::IO_ERROR
    };
    SqlError::new(state, format!("could not spool COPY data: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_from_memory_and_from_a_file() {
        for size in [10, SPOOL_MEMORY_MAX + 10] {
            let mut spool = Spool::default();
            let piece: Vec<u8> = (0..=255).cycle().take(size).collect();
            spool.write(&piece).expect("room");
            spool.write(b"end").expect("room");
            let mut read = Vec::new();
            spool.into_reader().expect("readable").read_to_end(&mut read).expect("readable");
            assert_eq!(read.len(), size + 3);
            assert!(read.starts_with(&piece) && read.ends_with(b"end"));
        }
    }
}
