//! How the storage engine is set up: what costs memory is bounded, what could lose data silently is off.
//! Values without a remark are RocksDB's defaults.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ChecksumType, DBCompressionType, DBRecoveryMode,
    LogLevel, Options, SliceTransform, WriteBufferManager,
};

use std::sync::Arc;

use crate::db::{KeyRange, MemoryDisk, after_prefix};

/// What all families of a database share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbOptions {
    /// The bytes of memory for blocks read from disk.
    pub cache_bytes: usize,
    /// The bytes of memory, over all families, for rows that are not yet in a file.
    pub write_buffer_bytes: usize,
    /// Threads for flushing and compaction.
    pub background_jobs: i32,
    /// The most files held open.
    pub open_files_max: i32,
    /// Deletes families that are stored but not asked for, as for tables of another version; otherwise
    /// opening is refused.
    pub drop_unknown_families: bool,
    /// Keeps rows that are read by key in the cache of blocks as they are, so that reading one again takes neither
    /// index nor filter nor block. Ranges cannot be deleted then.
    pub rows_in_cache: bool,
    /// A disk in memory that stands for the directory: for simulations.
    pub memory: Option<Arc<MemoryDisk>>,
}

/// The bytes of block cache if nothing else is asked for.
pub const BLOCK_CACHE_BYTES_DEFAULT: usize = 64 << 20;

/// The bytes of write buffers if nothing else is asked for.
pub const WRITE_BUFFER_BYTES_DEFAULT: usize = 64 << 20;

/// The open files if nothing else is asked for.
pub const OPEN_FILES_DEFAULT: i32 = 512;

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
            write_buffer_bytes: WRITE_BUFFER_BYTES_DEFAULT,
            background_jobs: 2,
            open_files_max: OPEN_FILES_DEFAULT,
            drop_unknown_families: false,
            rows_in_cache: false,
            memory: None,
        }
    }
}

/// One family and what it is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyOptions {
    name: String,
    bloom: bool,
    prefix: Option<usize>,
    append_only: bool,
    merged_late: bool,
}

impl FamilyOptions {
    /// A family that is mostly read in ranges.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            bloom: false,
            prefix: None,
            append_only: false,
            merged_late: false,
        }
    }

    /// Adds a filter that answers reads of absent keys without the disk, for ten bits a row.
    #[must_use]
    pub fn bloom(mut self) -> Self {
        self.bloom = true;
        self
    }

    /// Lets the filter also answer forward scans within a prefix of that many bytes.
    #[must_use]
    pub fn prefix(mut self, bytes: usize) -> Self {
        self.bloom = true;
        self.prefix = Some(bytes);
        self
    }

    /// Says that keys mostly ascend and rows are hardly ever changed: a log.
    #[must_use]
    pub fn append_only(mut self) -> Self {
        self.append_only = true;
        self
    }

    /// Lets more files gather before they are merged, so that each row is rewritten less often: for what is loaded in
    /// large pieces whose keys stand anywhere. Reads of absent keys should then have a filter.
    #[must_use]
    pub fn merged_late(mut self) -> Self {
        self.merged_late = true;
        self
    }

    /// The family's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether all keys of `range` have one prefix, so that the prefix filter can answer for them.
    pub(crate) fn is_within_prefix(&self, range: &KeyRange) -> bool {
        let (Some(bytes), Some(upper)) = (self.prefix, &range.upper) else { return false };
        let Some(prefix) = range.lower.get(..bytes) else { return false };
        upper.get(..bytes) == Some(prefix) || after_prefix(prefix).as_ref() == Some(upper)
    }
}

/// What the families of one database share in memory.
pub(crate) struct Shared {
    cache: Cache,
    write_buffers: WriteBufferManager,
}

pub(crate) fn shared_resources(options: &DbOptions) -> Shared {
    Shared {
        cache: Cache::new_lru_cache(options.cache_bytes),
        // It may not stall writers: a stalled log stalls elections. It flushes early instead.
        write_buffers: WriteBufferManager::new_write_buffer_manager(
            options.write_buffer_bytes,
            false,
        ),
    }
}

pub(crate) fn database_options(options: &DbOptions, shared: &Shared) -> Options {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    // A torn tail is dropped, damage before it fails the open. The default would silently drop all that
    // comes after the damage.
    database.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    database.set_recycle_log_file_num(0);
    database.set_track_and_verify_wals_in_manifest(true);
    database.set_paranoid_checks(true);
    // fdatasync: the size of a file is metadata that it does sync.
    database.set_use_fsync(false);
    // manual_wal_flush has lost data (facebook/rocksdb#3599); one writer thread gains nothing from the others.
    database.set_manual_wal_flush(false);
    database.set_enable_pipelined_write(false);
    database.set_unordered_write(false);
    database.set_atomic_flush(false);
    database.set_bytes_per_sync(1 << 20);
    database.set_max_background_jobs(options.background_jobs);
    database.set_max_open_files(options.open_files_max);
    database.set_max_total_wal_size(WAL_BYTES_MAX);
    database.set_write_buffer_manager(&shared.write_buffers);
    database.set_keep_log_file_num(2);
    database.set_max_log_file_size(1 << 20);
    database.set_log_level(LogLevel::Warn);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    if options.rows_in_cache {
        database.set_row_cache(&shared.cache);
    }
    database
}

/// The write-ahead log that is kept before the laziest family is flushed: bounds the time of an open.
const WAL_BYTES_MAX: u64 = 256 << 20;

/// The largest single memtable; the shared bound usually flushes earlier.
const MEMTABLE_BYTES_MAX: usize = 32 << 20;

/// The files that gather before they are merged, of a family that is merged late.
const MERGED_LATE_FILES: i32 = 8;

/// The bytes of the level that they are merged into: about as many.
const MERGED_LATE_LEVEL_BYTES: u64 = 512 << 20;

pub(crate) fn family_options(
    family: &FamilyOptions,
    options: &DbOptions,
    shared: &Shared,
) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&shared.cache);
    table.set_block_size(if family.append_only { 32 << 10 } else { 8 << 10 });
    table.set_checksum_type(ChecksumType::XXH3);
    table.set_format_version(5);
    // Index and filter blocks count against the cache, so that memory stays bounded however much is stored.
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In pieces, of which only a small top level is kept: one piece a file would be a megabyte, too large for a
    // shard of the cache, and be read anew for each row.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4 << 10);
    table.set_pin_top_level_index_and_filter(true);
    if family.bloom {
        table.set_bloom_filter(10.0, false);
        table.set_whole_key_filtering(true);
    }
    let mut tuned = Options::default();
    tuned.set_block_based_table_factory(&table);
    tuned.set_write_buffer_size(
        MEMTABLE_BYTES_MAX.min(options.write_buffer_bytes / 2).max(64 << 10),
    );
    tuned.set_max_write_buffer_number(4);
    tuned.set_compression_type(DBCompressionType::Lz4);
    tuned.set_min_level_to_compress(2);
    if let Some(bytes) = family.prefix {
        tuned.set_prefix_extractor(SliceTransform::create_fixed_prefix(bytes));
        tuned.set_memtable_prefix_bloom_ratio(0.05);
    }
    if family.bloom {
        tuned.set_memtable_whole_key_filtering(true);
        tuned.set_memtable_prefix_bloom_ratio(0.05);
    }
    if family.merged_late {
        tuned.set_level_zero_file_num_compaction_trigger(MERGED_LATE_FILES);
        tuned.set_max_bytes_for_level_base(MERGED_LATE_LEVEL_BYTES);
    }
    if family.append_only {
        // A write stall stops the elections of all shards, too; better too many files for a while.
        tuned.set_level_zero_slowdown_writes_trigger(40);
        tuned.set_level_zero_stop_writes_trigger(80);
    }
    tuned
}
