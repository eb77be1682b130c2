//! Rows on disk: sorted runs that are merged as they are read, and rows as they come ([`rows`]). Files have no name once they are open, so none outlives the
//! statement, however it ends.

mod codec;
mod rows;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::Env;
use crate::exec::key::compare_rows;
use crate::exec::memory::DiskShare;
use crate::exec::operators::sorting::{RowOrder, SortBuffer};
use crate::exec::row_table::index;
use crate::types::Datum;

pub(crate) use rows::{BatchStore, Part, Parts, RowFile, RowReader, SharedBatches, can_spill};

/// The bytes read or written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Sorted runs of rows of one width.
pub(crate) struct Runs {
    share: DiskShare,
    width: usize,
    written: Vec<File>,
    reading: Vec<Run>,
}

/// A run being read: its next row with its key.
struct Run {
    input: BufReader<File>,
    key: Vec<Datum>,
    row: Vec<Datum>,
    ended: bool,
}

impl Runs {
    /// No runs yet.
    pub(crate) fn new(width: usize, env: &Env<'_>) -> Self {
        let share = env.statement.disk_share();
        Self { share, width, written: Vec::new(), reading: Vec::new() }
    }

    /// Writes the rows of a buffer in the given order, and empties it.
    pub(crate) fn add(
        &mut self,
        buffer: &mut SortBuffer,
        rows: &[u32],
        order: &RowOrder,
        env: &Env<'_>,
    ) -> Result<()> {
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, temporary_file(env)?);
        let mut bytes = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            if number % crate::exec::BATCH_ROWS == 0 {
                env.check()?;
            }
            bytes.clear();
            for key in 0..order.directions().len() {
                codec::write(buffer.key(order, index(*row), key), &mut bytes)?;
            }
            for value in buffer.row(index(*row)) {
                codec::write(value, &mut bytes)?;
            }
            self.share.grow(bytes.len())?;
            output.write_all(&bytes).map_err(|error| failed(&error))?;
        }
        let file = output.into_inner().map_err(|error| failed(error.error()))?;
        self.written.push(file);
        buffer.clear();
        Ok(())
    }

    /// Ends the writing and begins the reading.
    pub(crate) fn finish(&mut self, order: &RowOrder, env: &Env<'_>) -> Result<()> {
        for mut file in std::mem::take(&mut self.written) {
            env.check()?;
            file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
            let input = BufReader::with_capacity(BUFFER_BYTES, file);
            let mut run = Run { input, key: Vec::new(), row: Vec::new(), ended: false };
            run.advance(order.directions().len(), self.width)?;
            self.reading.push(run);
        }
        Ok(())
    }

    /// Appends the next row in order; false after the last.
    pub(crate) fn next_row(&mut self, order: &RowOrder, out: &mut Vec<Datum>) -> Result<bool> {
        // The first of equal rows is the one of the earlier run, so the sort stays stable.
        let next = self.reading.iter_mut().filter(|run| !run.ended);
        let Some(run) =
            next.min_by(|left, right| compare_rows(order.directions(), &left.key, &right.key))
        else {
            return Ok(false);
        };
        out.append(&mut run.row);
        run.advance(order.directions().len(), self.width)?;
        Ok(true)
    }
}

impl Run {
    fn advance(&mut self, keys: usize, width: usize) -> Result<()> {
        self.key.clear();
        self.row.clear();
        for place in 0..keys + width {
            let Some(value) = codec::read(&mut self.input)? else {
                self.ended = true;
                return Ok(());
            };
            if place < keys { self.key.push(value) } else { self.row.push(value) }
        }
        Ok(())
    }
}

/// A file that is gone once it is closed.
fn temporary_file(env: &Env<'_>) -> Result<File> {
    env.check()?;
    let Some(directory) = &env.statement.context.spill_directory else {
        return Err(SqlError::internal("nothing is spilled without a directory for it"));
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let name = format!("rows-{:016x}.tmp", env.statement.context.random.next_u64());
    let path = directory.join(name);
    let opened = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let file = opened.map_err(|error| failed(&error))?;
    std::fs::remove_file(&path).map_err(|error| failed(&error))?;
    Ok(file)
}

/// The disk failed, or is full.
fn failed(error: &std::io::Error) -> SqlError {
    let state = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(state, format!("could not use a temporary file: {error}"))
}
