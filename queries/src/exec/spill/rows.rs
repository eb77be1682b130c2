//! Rows on disk in the order they were written, and rows cut into parts by the hash of their keys.
//!
//! An operator whose table does not fit keeps what fits, and puts the rows that it cannot decide yet into parts: rows
//! with equal keys are in the same part, so each part is a smaller problem of the same kind. Parts that still do not
//! fit are cut again, by other bits of the hash, up to [`DEPTH_MAX`] times.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::error::Result;
use crate::exec::environment::Env;
use crate::exec::memory::DiskShare;
use crate::exec::spill::{codec, failed, temporary_file};
use crate::exec::{BATCH_ROWS, Batch};
use crate::types::Datum;

/// How many parts rows are cut into.
const PARTS: usize = 16;

/// How often a part is cut again.
pub(crate) const DEPTH_MAX: usize = 5;

/// The bytes read or written at a time, for each file.
const BUFFER_BYTES: usize = 32 << 10;

/// Rows being written.
pub(crate) struct RowFile {
    output: BufWriter<File>,
    bytes: Vec<u8>,
    rows: u64,
    share: DiskShare,
}

/// Rows being read.
pub(crate) struct RowReader {
    input: BufReader<File>,
    rows: u64,
    width: usize,
    /// Given back when the file is closed.
    _share: DiskShare,
}

impl RowFile {
    /// An empty file without a name.
    pub(crate) fn create(env: &Env<'_>) -> Result<Self> {
        let output = BufWriter::with_capacity(BUFFER_BYTES, temporary_file(env)?);
        Ok(Self { output, bytes: Vec::new(), rows: 0, share: env.statement.disk_share() })
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: &[Datum]) -> Result<()> {
        self.bytes.clear();
        for value in row {
            codec::write(value, &mut self.bytes)?;
        }
        self.share.grow(self.bytes.len())?;
        self.rows += 1;
        self.output.write_all(&self.bytes).map_err(|error| failed(&error))
    }

    /// Ends the writing and begins the reading.
    pub(crate) fn into_reader(self, width: usize) -> Result<RowReader> {
        let mut file = self.output.into_inner().map_err(|error| failed(error.error()))?;
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(RowReader { input, rows: self.rows, width, _share: self.share })
    }
}

impl RowReader {
    /// The next rows; none after the last.
    pub(crate) fn next(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        env.check()?;
        let rows = self.rows.min(u64::try_from(BATCH_ROWS).unwrap_or(u64::MAX));
        self.rows -= rows;
        let rows = usize::try_from(rows).unwrap_or(BATCH_ROWS);
        let mut values = Vec::with_capacity(rows * self.width);
        for _ in 0..rows * self.width {
            values.push(codec::read(&mut self.input)?.unwrap_or_default());
        }
        Ok((rows > 0).then_some(Batch { width: self.width, rows, values }))
    }
}

/// Rows cut into parts by a hash.
pub(crate) struct Parts {
    files: Vec<Option<RowFile>>,
    width: usize,
    depth: usize,
}

/// A part to be worked on, and how often its rows have been cut.
pub(crate) struct Part {
    pub(crate) reader: RowReader,
    pub(crate) depth: usize,
}

impl Parts {
    /// Empty parts of rows that have been cut `depth` times.
    pub(crate) fn new(width: usize, depth: usize) -> Self {
        Self { files: (0..PARTS).map(|_| None).collect(), width, depth }
    }

    /// Puts a row into its part.
    pub(crate) fn push(&mut self, hash: u64, row: &[Datum], env: &Env<'_>) -> Result<()> {
        let file = &mut self.files[part_of(hash, self.depth)];
        match file {
            Some(file) => file.push(row),
            None => file.insert(RowFile::create(env)?).push(row),
        }
    }

    /// The parts by number, none for those without rows.
    pub(crate) fn finish(self) -> Result<Vec<Option<Part>>> {
        let (width, depth) = (self.width, self.depth + 1);
        let part = |file: RowFile| Ok(Part { reader: file.into_reader(width)?, depth });
        self.files.into_iter().map(|file| file.map(part).transpose()).collect()
    }
}

/// The part of a hash; each time that rows are cut, other bits count.
fn part_of(hash: u64, depth: usize) -> usize {
    let seed = u64::try_from(depth).unwrap_or(0).wrapping_add(1);
    let mut mixed = hash.wrapping_add(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from(mixed >> 60).unwrap_or(0) % PARTS
}

/// Whether an operator whose rows have been cut `depth` times may put more on disk.
pub(crate) fn can_spill(env: &Env<'_>, depth: usize) -> bool {
    depth <= DEPTH_MAX && env.statement.context.spill_directory.is_some()
}

/// Batches that are read again and again by their number: in memory, and from some number on in a file.
#[derive(Default)]
pub(crate) struct BatchStore {
    kept: Vec<Batch>,
    stored: Option<Stored>,
}

struct Stored {
    file: File,
    /// Where each batch begins, and its rows.
    places: Vec<(u64, usize)>,
    end: u64,
    share: DiskShare,
}

impl BatchStore {
    /// The number of batches.
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.stored.as_ref().map_or(0, |stored| stored.places.len())
    }

    /// Appends a batch; `fits` says whether memory was found for it.
    pub(crate) fn push(&mut self, batch: Batch, fits: bool, env: &Env<'_>) -> Result<()> {
        if fits && self.stored.is_none() {
            self.kept.push(batch);
            return Ok(());
        }
        let stored = match &mut self.stored {
            Some(stored) => stored,
            None => self.stored.insert(Stored {
                file: temporary_file(env)?,
                places: Vec::new(),
                end: 0,
                share: env.statement.disk_share(),
            }),
        };
        stored.push(&batch)
    }

    /// A batch by its number.
    pub(crate) fn get(&mut self, number: usize, width: usize) -> Result<Option<Batch>> {
        if let Some(batch) = self.kept.get(number) {
            return Ok(Some(batch.clone()));
        }
        let Some(stored) = &mut self.stored else { return Ok(None) };
        stored.get(number - self.kept.len(), width)
    }
}

impl Stored {
    fn push(&mut self, batch: &Batch) -> Result<()> {
        let mut bytes = Vec::new();
        for value in &batch.values {
            codec::write(value, &mut bytes)?;
        }
        self.share.grow(bytes.len())?;
        self.file.seek(SeekFrom::Start(self.end)).map_err(|error| failed(&error))?;
        self.file.write_all(&bytes).map_err(|error| failed(&error))?;
        self.places.push((self.end, batch.rows));
        self.end += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn get(&mut self, number: usize, width: usize) -> Result<Option<Batch>> {
        let Some((start, rows)) = self.places.get(number).copied() else { return Ok(None) };
        self.file.seek(SeekFrom::Start(start)).map_err(|error| failed(&error))?;
        let mut input = BufReader::with_capacity(BUFFER_BYTES, &self.file);
        let mut values = Vec::with_capacity(rows * width);
        for _ in 0..rows * width {
            values.push(codec::read(&mut input)?.unwrap_or_default());
        }
        Ok(Some(Batch { width, rows, values }))
    }
}

/// Batches that several operators read.
pub(crate) type SharedBatches = Arc<parking_lot::Mutex<BatchStore>>;
