//! The memory that transaction blocks may take: each, and all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rotabase_queries::error::{Result, SqlError, SqlState};

/// The bytes that one block may hold until it commits: what it has written, and its view of the schedule.
pub(crate) const BLOCK_BYTES_MAX: usize = 512 << 20;

/// The bytes that all blocks of a node may hold together.
pub(crate) const BLOCKS_BYTES_MAX: usize = 1 << 30;

/// What all blocks of a node hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockMemory(Arc<AtomicUsize>);

/// What one block holds; given back when it ends.
#[derive(Debug)]
pub(super) struct Charge {
    all: BlockMemory,
    own: usize,
}

impl Charge {
    pub(super) fn new(all: BlockMemory) -> Self {
        Self { all, own: 0 }
    }

    /// Says how much the block holds now; 53200 if that is too much.
    pub(super) fn set(&mut self, bytes: usize) -> Result<()> {
        let Some(more) = bytes.checked_sub(self.own) else {
            self.all.0.fetch_sub(self.own - bytes, Ordering::AcqRel);
            self.own = bytes;
            return Ok(());
        };
        let before = self.all.0.fetch_add(more, Ordering::AcqRel);
        self.own = bytes;
        if bytes > BLOCK_BYTES_MAX {
            return Err(too_large(format!(
                "A transaction block holds at most {} MB until it commits.",
                BLOCK_BYTES_MAX >> 20
            )));
        }
        if before + more > BLOCKS_BYTES_MAX {
            return Err(too_large(format!(
                "All open transaction blocks together hold at most {} MB.",
                BLOCKS_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.own, Ordering::AcqRel);
    }
}

fn too_large(detail: String) -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "the transaction block is too large")
        .with_detail(detail)
        .with_hint("Commit in smaller steps, or load the data with COPY outside a block.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_bounded_alone_and_with_the_others() {
        let all = BlockMemory::default();
        let mut first = Charge::new(all.clone());
        first.set(BLOCK_BYTES_MAX).expect("as much as it may");
        assert_eq!(first.set(BLOCK_BYTES_MAX + 1).unwrap_err().state, SqlState::OUT_OF_MEMORY);
        first.set(BLOCK_BYTES_MAX).expect("as much as it may");
        let mut second = Charge::new(all.clone());
        second.set(BLOCK_BYTES_MAX).expect("both together");
        let mut third = Charge::new(all.clone());
        assert_eq!(third.set(1).unwrap_err().state, SqlState::OUT_OF_MEMORY);
        drop((first, third));
        second.set(0).expect("less");
        assert_eq!(all.0.load(Ordering::Acquire), 0);
    }
}
