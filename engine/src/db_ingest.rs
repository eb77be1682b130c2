//! Many rows at once: written in the order of their keys as a file of their own, past memory, and taken in as a whole.
//!
//! A row that goes through memory is put in its place there, written out, and merged; of a load of millions that is
//! most of the work. Rows that are in order already need none of it.

use std::path::{Path, PathBuf};

use rocksdb::{DB, IngestExternalFileOptions, SstFileWriter};

use crate::db::{Backend, Db, Family, StoreError};

/// Files that are not merged yet, from which on no more are added: they are merged more slowly than they can be
/// written, and each costs every read. What is written otherwise waits for the merging.
const UNMERGED_FILES_MAX: u64 = 32;

/// The name of the file beside those of the database.
const FILE: &str = "ingest.tmp";

/// Rows on their way into a family, in the order of their keys. Dropped before [`Ingestion::finish`], they are gone.
/// There may be one at a time.
pub struct Ingestion<'d> {
    db: &'d Db,
    raw: &'d DB,
    family: Family,
    path: PathBuf,
    writer: SstFileWriter<'d>,
}

impl std::fmt::Debug for Ingestion<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingestion").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Db {
    /// Begins to write rows of a family past memory; none if the storage engine is behind with merging, so that they
    /// have to go the usual way.
    pub fn ingestion(&self, family: Family) -> Result<Option<Ingestion<'_>>, StoreError> {
        let Backend::Directory(raw) = &self.backend else { return Ok(None) };
        if self.unmerged_files(raw, family) >= UNMERGED_FILES_MAX {
            return Ok(None);
        }
        let path = file(raw.path());
        let writer = SstFileWriter::create(self.tuned_options(family));
        writer.open(&path)?;
        Ok(Some(Ingestion { db: self, raw, family, path, writer }))
    }

    /// Removes what a crash left of an ingestion.
    pub(crate) fn clean_up_ingestion(path: &Path) -> Result<(), StoreError> {
        let path = file(path);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Io(format!("\"{}\": {error}", path.display())))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Ingestion<'_> {
    /// Writes a row, whose key comes after all before.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.writer.put(key, value)?)
    }

    /// Deletes a row, whose key comes after all before.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), StoreError> {
        Ok(self.writer.delete(key)?)
    }

    /// Takes the rows in, as a whole or not at all; there has to be one. They survive a crash when this returns, and
    /// so does everything that was written to the family before.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.writer.finish()?;
        // A crash may not leave these rows without those that were written before them.
        self.db.flush(&[self.family])?;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let family = self.db.handle(self.raw, self.family);
        Ok(self.raw.ingest_external_file_cf_opts(family, &options, vec![&self.path])?)
    }
}
