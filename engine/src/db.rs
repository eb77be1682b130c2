//! The storage engine behind the log and all that is derived from it: the one file that knows RocksDB.

/// This machine's storage failed, or what it holds cannot be trusted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Bytes were read that were not written; nothing of them is served.
    #[error("stored data is corrupted: {0}")]
    Corrupted(String),
    /// The disk or the storage engine failed. After a failed write or sync nothing more is acknowledged.
    #[error("storage failed: {0}")]
    Io(String),
    /// Another process holds the directory.
    #[error("the data directory \"{0}\" is in use by another process")]
    Locked(String),
    /// The directory was written by another version, or is none of ours.
    #[error("{0}")]
    Incompatible(String),
}
