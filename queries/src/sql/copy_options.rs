//! How COPY reads and writes rows.

/// The form of a COPY's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

/// Whether a COPY has a line of names first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// No.
    #[default]
    None,
    /// Yes; on input it is passed over.
    Present,
    /// Yes; on input the names must be those of the columns.
    Match,
}

/// Columns that a COPY option is about, as places in the COPY's own columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CopyColumns {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// These.
    Some(Vec<usize>),
}

/// How the characters of a COPY's text are written as bytes; the binary format is always UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// ISO 8859-1: a byte for each of the first 256 characters.
    Latin1,
}

/// The options of a COPY, checked as PostgreSQL checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The form.
    pub format: CopyFormat,
    /// Between values.
    pub delimiter: u8,
    /// What stands for null.
    pub null: String,
    /// Whether there is a line of names.
    pub header: CopyHeader,
    /// Around CSV values.
    pub quote: u8,
    /// Before a quote within a CSV value.
    pub escape: u8,
    /// Columns always quoted on output.
    pub force_quote: CopyColumns,
    /// Columns whose unquoted values are never null on input.
    pub force_not_null: CopyColumns,
    /// Columns whose quoted values may be null on input.
    pub force_null: CopyColumns,
    /// The encoding of the text.
    pub encoding: CopyEncoding,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            format: CopyFormat::Text,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            header: CopyHeader::None,
            quote: b'"',
            escape: b'"',
            force_quote: CopyColumns::None,
            force_not_null: CopyColumns::None,
            force_null: CopyColumns::None,
            encoding: CopyEncoding::Utf8,
        }
    }
}
