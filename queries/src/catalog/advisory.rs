//! Advisory locks as functions and `pg_locks` speak of them. Who holds which is the running system's business.

/// The key of a lock: `pg_locks.classid`, `objid` and `objsubid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryKey {
    /// The upper half of a key of 64 bits, or the first of two keys.
    pub class: u32,
    /// The lower half, or the second of two keys.
    pub object: u32,
    /// 1 for a key of 64 bits, 2 for two keys.
    pub kind: i16,
}

/// A lock that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvisoryLock {
    /// Its key.
    pub key: AdvisoryKey,
    /// Whether others may hold it too, if they share it as well.
    pub shared: bool,
    /// Whether it is given back at the end of the transaction, rather than of the session.
    pub transaction: bool,
}

/// A lock that is held or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvisoryRow {
    /// The session.
    pub pid: i32,
    /// The lock.
    pub key: AdvisoryKey,
    /// Whether it is shared.
    pub shared: bool,
    /// Whether it is held.
    pub granted: bool,
}
