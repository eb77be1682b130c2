//! The table of settings: every setting that a session knows, its default, how a value is checked, and what it is
//! for. What a session does with them is [`super`]'s business.

/// How a value is checked and normalised.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `on` or `off`.
    Bool,
    /// A whole number in a range.
    Int(i64, i64),
    /// Milliseconds from a least number on, with PostgreSQL's units.
    Milliseconds(i64),
    /// Kilobytes from a least number on, with PostgreSQL's units.
    Kilobytes(i64),
    /// A number that is not negative.
    Real,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything.
    Text,
    /// Cannot be changed.
    Fixed,
    /// A time zone.
    TimeZone,
    /// `DateStyle`.
    DateStyle,
    /// `search_path`.
    List,
    /// A position token.
    Position,
    /// An instant, or nothing for now.
    Instant,
}

/// One setting.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    /// Whether clients are told when it changes (ParameterStatus).
    pub(super) reported: bool,
    pub(super) description: &'static str,
}

/// The schema of what operators look at.
pub(super) const SERVER_SCHEMA: &str = "rotabase";

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    reported: bool,
    description: &'static str,
) -> Setting {
    Setting { name, default, kind, reported, description }
}

const ISOLATION: &[&str] =
    &["serializable", "repeatable read", "read committed", "read uncommitted"];
const LEVELS: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "info", "notice", "warning",
    "error",
];

/// All settings, by name. The version numbers are PostgreSQL 15's, because clients choose by them.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "application_name",
        "",
        Kind::Text,
        true,
        "Names the client in logs and in the metadata of events.",
    ),
    setting("array_nulls", "on", Kind::Word(&["on"]), false, "Accepted for compatibility."),
    setting(
        "backslash_quote",
        "safe_encoding",
        Kind::Word(&["safe_encoding", "on", "off"]),
        false,
        "Accepted for compatibility.",
    ),
    setting("block_size", "8192", Kind::Fixed, false, "Size of a disk block."),
    setting(
        "bytea_output",
        "hex",
        Kind::Word(&["hex", "escape"]),
        false,
        "Output format of bytea.",
    ),
    setting("check_function_bodies", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "client_encoding",
        "UTF8",
        Kind::Word(&["utf8", "utf-8", "unicode"]),
        true,
        "The client's encoding: UTF8.",
    ),
    setting(
        "client_min_messages",
        "notice",
        Kind::Word(LEVELS),
        false,
        "The least severe message that is sent.",
    ),
    setting(
        "constraint_exclusion",
        "partition",
        Kind::Word(&["partition", "on", "off"]),
        false,
        "Accepted for compatibility.",
    ),
    setting("cpu_index_tuple_cost", "0.005", Kind::Real, false, "Accepted for compatibility."),
    setting("cpu_operator_cost", "0.0025", Kind::Real, false, "Accepted for compatibility."),
    setting("cpu_tuple_cost", "0.01", Kind::Real, false, "Accepted for compatibility."),
    setting("cursor_tuple_fraction", "0.1", Kind::Real, false, "Accepted for compatibility."),
    setting(
        "datestyle",
        "ISO, MDY",
        Kind::DateStyle,
        true,
        "Format of dates, and the order of their numbers.",
    ),
    setting("deadlock_timeout", "1s", Kind::Milliseconds(1), false, "Accepted for compatibility."),
    setting(
        "default_statistics_target",
        "100",
        Kind::Int(1, 10_000),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "default_table_access_method",
        "heap",
        Kind::Text,
        false,
        "Accepted for compatibility.",
    ),
    setting("default_tablespace", "", Kind::Text, false, "Accepted for compatibility."),
    setting(
        "default_text_search_config",
        "pg_catalog.simple",
        Kind::Text,
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "default_toast_compression",
        "pglz",
        Kind::Word(&["pglz", "lz4"]),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "default_transaction_deferrable",
        "off",
        Kind::Bool,
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        Kind::Word(ISOLATION),
        false,
        "Isolation of new transactions.",
    ),
    setting(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        true,
        "Whether new transactions are read-only.",
    ),
    setting(
        "effective_cache_size",
        "4GB",
        Kind::Kilobytes(8),
        false,
        "Accepted for compatibility.",
    ),
    setting("enable_async_append", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_bitmapscan", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_gathermerge", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_hashagg", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_hashjoin", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_incremental_sort", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_indexonlyscan", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_indexscan", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_material", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_memoize", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_mergejoin", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_nestloop", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_parallel_append", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_parallel_hash", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_partition_pruning", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "enable_partitionwise_aggregate",
        "off",
        Kind::Bool,
        false,
        "Accepted for compatibility.",
    ),
    setting("enable_partitionwise_join", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_seqscan", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_sort", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("enable_tidscan", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("escape_string_warning", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("exit_on_error", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "extra_float_digits",
        "1",
        Kind::Int(-15, 3),
        false,
        "Digits of floating-point output.",
    ),
    setting(
        "from_collapse_limit",
        "8",
        Kind::Int(1, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting("geqo", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "geqo_threshold",
        "12",
        Kind::Int(2, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "gin_fuzzy_search_limit",
        "0",
        Kind::Int(0, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting("hash_mem_multiplier", "2", Kind::Real, false, "Accepted for compatibility."),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds(0),
        false,
        "Ends a session that idles in a transaction.",
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Milliseconds(0),
        false,
        "Ends a session that idles.",
    ),
    setting("in_hot_standby", "off", Kind::Fixed, true, "Whether this node is a read replica."),
    setting("integer_datetimes", "on", Kind::Fixed, true, "Times are integers."),
    setting(
        "intervalstyle",
        "postgres",
        Kind::Word(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        true,
        "Output format of intervals.",
    ),
    setting("is_superuser", "on", Kind::Fixed, true, "Whether the user is an administrator."),
    setting("jit", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting("jit_above_cost", "100000", Kind::Real, false, "Accepted for compatibility."),
    setting(
        "join_collapse_limit",
        "8",
        Kind::Int(1, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting("lc_collate", "C", Kind::Fixed, false, "Text sorts by its bytes."),
    setting("lc_ctype", "C.UTF-8", Kind::Fixed, false, "Character classes."),
    setting("lc_messages", "C", Kind::Text, false, "Language of messages."),
    setting("lc_monetary", "C", Kind::Text, false, "Accepted for compatibility."),
    setting("lc_numeric", "C", Kind::Text, false, "Accepted for compatibility."),
    setting("lc_time", "C", Kind::Text, false, "Accepted for compatibility."),
    setting(
        "lock_timeout",
        "0",
        Kind::Milliseconds(0),
        false,
        "Accepted for compatibility; nothing waits for a lock.",
    ),
    setting("log_duration", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "log_min_duration_statement",
        "-1",
        Kind::Milliseconds(-1),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "log_statement",
        "none",
        Kind::Word(&["none", "ddl", "mod", "all"]),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "maintenance_work_mem",
        "64MB",
        Kind::Kilobytes(1024),
        false,
        "Accepted for compatibility.",
    ),
    setting("max_connections", "1000", Kind::Fixed, false, "How many sessions there can be."),
    setting("max_identifier_length", "63", Kind::Fixed, false, "The longest name."),
    setting("max_index_keys", "32", Kind::Fixed, false, "The most columns of an index."),
    setting("max_parallel_workers", "8", Kind::Int(0, 1024), false, "Accepted for compatibility."),
    setting(
        "max_parallel_workers_per_gather",
        "2",
        Kind::Int(0, 1024),
        false,
        "Accepted for compatibility.",
    ),
    setting("max_prepared_transactions", "0", Kind::Fixed, false, "Accepted for compatibility."),
    setting("parallel_setup_cost", "1000", Kind::Real, false, "Accepted for compatibility."),
    setting("parallel_tuple_cost", "0.1", Kind::Real, false, "Accepted for compatibility."),
    setting(
        "password_encryption",
        "scram-sha-256",
        Kind::Word(&["scram-sha-256"]),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "plan_cache_mode",
        "auto",
        Kind::Word(&["auto", "force_generic_plan", "force_custom_plan"]),
        false,
        "Accepted for compatibility.",
    ),
    setting("quote_all_identifiers", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting("random_page_cost", "4", Kind::Real, false, "Accepted for compatibility."),
    setting(
        "role",
        "none",
        Kind::Word(&["none"]),
        false,
        "The role that privileges are checked for: the session user.",
    ),
    setting(
        "rotabase.as_of",
        "",
        Kind::Instant,
        false,
        "Reads the schedule as it was at this instant; empty for now.",
    ),
    setting(
        "rotabase.consistency",
        "session",
        Kind::Word(&["session", "eventual", "strong"]),
        false,
        "What a SELECT has to see.",
    ),
    setting(
        "rotabase.correlation_id",
        "",
        Kind::Text,
        false,
        "The client's own id, kept with every event it causes.",
    ),
    setting(
        "rotabase.position",
        "0",
        Kind::Fixed,
        false,
        "The position that this session has written up to.",
    ),
    setting(
        "rotabase.read_after",
        "",
        Kind::Position,
        false,
        "A position that every SELECT waits for.",
    ),
    setting("row_security", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "search_path",
        "\"$user\", public",
        Kind::List,
        false,
        "The schemas that unqualified names are looked up in.",
    ),
    setting("seq_page_cost", "1", Kind::Real, false, "Accepted for compatibility."),
    setting("server_encoding", "UTF8", Kind::Fixed, true, "The server's encoding."),
    setting(
        "server_version",
        crate::SERVER_VERSION,
        Kind::Fixed,
        true,
        "The version of PostgreSQL that clients can expect.",
    ),
    setting(
        "server_version_num",
        crate::SERVER_VERSION_NUM,
        Kind::Fixed,
        false,
        "The same as a number.",
    ),
    setting("session_authorization", "", Kind::Fixed, true, "The session user."),
    setting(
        "standard_conforming_strings",
        "on",
        Kind::Word(&["on"]),
        true,
        "Backslashes in strings are ordinary.",
    ),
    setting(
        "statement_timeout",
        "0",
        Kind::Milliseconds(0),
        false,
        "Cancels a statement that takes longer.",
    ),
    setting("synchronize_seqscans", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "synchronous_commit",
        "on",
        Kind::Word(&["on", "off", "local", "remote_write", "remote_apply"]),
        false,
        "Every commit is durable before it is acknowledged, whatever is set.",
    ),
    setting(
        "tcp_keepalives_count",
        "0",
        Kind::Int(0, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "tcp_keepalives_idle",
        "0",
        Kind::Int(0, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "tcp_keepalives_interval",
        "0",
        Kind::Int(0, 2_147_483_647),
        false,
        "Accepted for compatibility.",
    ),
    setting("tcp_user_timeout", "0", Kind::Milliseconds(0), false, "Accepted for compatibility."),
    setting("temp_buffers", "8MB", Kind::Kilobytes(800), false, "Accepted for compatibility."),
    setting(
        "timezone",
        "UTC",
        Kind::TimeZone,
        true,
        "The time zone of times that are shown or read.",
    ),
    setting("track_activities", "on", Kind::Bool, false, "Accepted for compatibility."),
    setting("track_io_timing", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting("transaction_deferrable", "off", Kind::Bool, false, "Accepted for compatibility."),
    setting(
        "transaction_isolation",
        "read committed",
        Kind::Word(ISOLATION),
        false,
        "Isolation of this transaction.",
    ),
    setting(
        "transaction_read_only",
        "off",
        Kind::Bool,
        false,
        "Whether this transaction is read-only.",
    ),
    setting(
        "transform_null_equals",
        "off",
        Kind::Word(&["off"]),
        false,
        "Accepted for compatibility.",
    ),
    setting(
        "work_mem",
        "64MB",
        Kind::Kilobytes(64),
        false,
        "Memory of one statement's sorts and hashes.",
    ),
    setting("xmloption", "content", Kind::Text, false, "Accepted for compatibility."),
];

/// The spelling that `SHOW ALL` and ParameterStatus use where it is not the lower-case name.
pub(super) fn display_name(name: &'static str) -> &'static str {
    match name {
        "datestyle" => "DateStyle",
        "timezone" => "TimeZone",
        "intervalstyle" => "IntervalStyle",
        name => name,
    }
}
