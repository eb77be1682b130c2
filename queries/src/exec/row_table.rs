//! A hash table of rows: each distinct row once, numbered in the order of insertion.
//!
//! Grouping, DISTINCT, set operations, `IN` and hash joins all stand on it.

use hashbrown::HashTable;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::Statement;
use crate::exec::key::{equal, hash_row};
use crate::exec::memory::{Reservation, bytes_of};
use crate::types::Datum;

/// The bytes of a row's place in the table beside its values.
const ENTRY_BYTES: usize = 24;

/// Distinct rows of one width.
#[derive(Debug)]
pub(crate) struct RowTable {
    width: usize,
    values: Vec<Datum>,
    hashes: Vec<u64>,
    places: HashTable<u32>,
    memory: Reservation,
}

impl RowTable {
    /// An empty table.
    pub(crate) fn new(width: usize, statement: &Statement) -> Self {
        Self {
            width,
            values: Vec::new(),
            hashes: Vec::new(),
            places: HashTable::new(),
            memory: statement.reservation(),
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// A row by its number.
    pub(crate) fn row(&self, number: usize) -> &[Datum] {
        &self.values[number * self.width..(number + 1) * self.width]
    }

    /// The number of a row, if it is there.
    pub(crate) fn find(&self, row: &[Datum]) -> Option<usize> {
        self.find_hashed(hash_row(row), row)
    }

    /// The number of the row, and whether it is new.
    pub(crate) fn insert(&mut self, row: &[Datum]) -> Result<(usize, bool)> {
        let hash = hash_row(row);
        if let Some(number) = self.find_hashed(hash, row) {
            return Ok((number, false));
        }
        self.memory.grow(bytes_of(row) + ENTRY_BYTES)?;
        self.place(hash, row).map(|number| (number, true))
    }

    /// Puts a new row into the table.
    fn place(&mut self, hash: u64, row: &[Datum]) -> Result<usize> {
        let number = self.hashes.len();
        let place = u32::try_from(number).map_err(|_| {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "too many distinct rows in one statement",
            )
        })?;
        self.values.extend_from_slice(row);
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.places.insert_unique(hash, place, |place| hashes[index(*place)]);
        Ok(number)
    }

    /// The same where rows can be put aside: none if the row is new and the memory does not hold it.
    pub(crate) fn try_insert(&mut self, row: &[Datum]) -> Result<Option<(usize, bool)>> {
        if let Some(number) = self.find(row) {
            return Ok(Some((number, false)));
        }
        let bytes = bytes_of(row) + ENTRY_BYTES;
        if !self.memory.try_share(bytes) {
            if self.len() > 0 {
                return Ok(None);
            }
            self.memory.take(bytes);
        }
        self.place(hash_row(row), row).map(|number| Some((number, true)))
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.hashes.clear();
        self.places.clear();
        self.memory.clear();
    }

    fn find_hashed(&self, hash: u64, row: &[Datum]) -> Option<usize> {
        self.places
            .find(hash, |place| {
                let number = index(*place);
                self.hashes[number] == hash
                    && self.row(number).iter().zip(row).all(|(left, right)| equal(left, right))
            })
            .map(|place| index(*place))
    }
}

/// A place as an index; `u32` fits into `usize` on every machine this runs on.
#[inline]
pub(crate) fn index(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit")
}
