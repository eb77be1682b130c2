//! Aggregates over columns: one state for each group, all of one aggregate side by side.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::column::{Column, ColumnKind, Values, code_text};
use crate::error::{Result, SqlError};
use crate::exec::environment::Env;
use crate::plan::{AggregateCall, Expr};
use crate::types::functions::AggregateFunction;
use crate::types::{Datum, Numeric, PgType};

use super::computed::Expressions;
use super::filter::{Filter, place};
use super::flow::FlowColumn;

/// An aggregate that needs no rows.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    kind: Kind,
    column: Option<usize>,
    /// Which rows it looks at.
    filter: Option<Arc<Filter>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Count,
    /// Of values that differ.
    CountDistinct,
    Min(ColumnKind),
    Max(ColumnKind),
    Sum,
    Average,
}

/// The states of an aggregate, by group.
#[derive(Debug)]
pub(super) struct States {
    plain: Plain,
    /// How many values each has seen.
    counts: Vec<i64>,
    /// The sums, or the values that are ahead of the others: meaningless where nothing was counted.
    values: Vec<i64>,
    /// The groups with the values that they have seen, where these have to differ, and where to find them.
    seen: Vec<(u32, u128)>,
    places: HashTable<u32>,
}

impl Plain {
    /// The aggregate that a call is over some columns and what is computed beside them; none if it needs rows. Its
    /// condition is still to be [set](Self::set_filter).
    pub(super) fn of(
        call: &AggregateCall,
        columns: &[FlowColumn],
        computed: &mut Expressions,
    ) -> Option<Self> {
        let argument = match &*call.arguments {
            [] => None,
            // What is computed of rows that are left out could fail.
            [expression] if call.filter.is_some() && !matches!(expression, Expr::Column(..)) => {
                return None;
            }
            [expression] => Some(computed.column(expression, columns)?),
            _ => return None,
        };
        if !call.order.is_empty() {
            return None;
        }
        let (column, kind) = argument.map(|(column, of)| (column, of.kind)).unzip();
        let kind = match (kind_of(call.function, kind)?, call.distinct) {
            (Kind::Count, true) if kind.is_some_and(|kind| kind != ColumnKind::Any) => {
                Kind::CountDistinct
            }
            // The smallest of some values is that of those that differ.
            (kind @ (Kind::Min(_) | Kind::Max(_)), _) | (kind, false) => kind,
            (_, true) => return None,
        };
        Some(Self { kind, column, filter: None })
    }

    /// Looks at the rows that a filter keeps.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        self.filter = Some(Arc::new(filter));
    }

    /// The columns that it looks at.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        let filter = self.filter.iter().flat_map(|filter| filter.columns());
        self.column.into_iter().chain(filter)
    }

    /// The column that its results are.
    pub(super) fn result(&self) -> FlowColumn {
        let (kind, nullable) = match self.kind {
            Kind::Count | Kind::CountDistinct => (ColumnKind::Int8, false),
            Kind::Min(kind) | Kind::Max(kind) => (kind, true),
            Kind::Sum => (ColumnKind::Int8, true),
            Kind::Average => (ColumnKind::Any, true),
        };
        FlowColumn { kind, nullable }
    }

    /// Whether the states of some groups can be taken out of all.
    pub(super) fn can_be_cut(&self) -> bool {
        self.kind != Kind::CountDistinct
    }
}

/// What a function does with a column.
fn kind_of(function: &AggregateFunction, column: Option<ColumnKind>) -> Option<Kind> {
    let ordered = |column: ColumnKind| {
        use ColumnKind::{Any, Dictionary, Uuid};
        (!matches!(column, Uuid | Dictionary | Any)).then_some(column)
    };
    match (function.name, column) {
        ("count", _) => Some(Kind::Count),
        ("min", Some(column)) => ordered(column).map(Kind::Min),
        ("max", Some(column)) => ordered(column).map(Kind::Max),
        ("sum", Some(ColumnKind::Int4)) if function.result == PgType::Int8 => Some(Kind::Sum),
        ("avg", Some(ColumnKind::Int4)) if function.result == PgType::Numeric => {
            Some(Kind::Average)
        }
        _ => None,
    }
}

impl States {
    /// The states of no groups.
    pub(super) fn new(plain: Plain) -> Self {
        let (counts, values, seen) = (Vec::new(), Vec::new(), Vec::new());
        Self { plain, counts, values, seen, places: HashTable::new() }
    }

    /// Roughly the bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        /// A value that was seen, and its place in a table that is not full.
        const SEEN_BYTES: usize = size_of::<(u32, u128)>() + 10;
        (self.counts.len() + self.values.len()) * size_of::<i64>() + self.seen.len() * SEEN_BYTES
    }

    /// Makes room for new groups.
    pub(super) fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        if !matches!(self.plain.kind, Kind::Count | Kind::CountDistinct) {
            self.values.resize(groups, 0);
        }
    }

    /// Forgets the states of groups, which can [be cut](Plain::can_be_cut), but keeps the room.
    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.values.clear();
    }

    /// Takes in some rows of a chunk, which are of these groups; of the only group if none are named.
    pub(super) fn add(
        &mut self,
        columns: &[Arc<Column>],
        rows: &[u32],
        groups: Option<&[u32]>,
        env: &Env<'_>,
    ) -> Result<()> {
        let Some(filter) = &self.plain.filter else {
            self.add_all(columns, rows, groups);
            return Ok(());
        };
        let mut kept = rows.to_vec();
        filter.retain(columns, &mut kept, env)?;
        let groups: Option<Vec<u32>> = groups.map(|groups| {
            let mut left = kept.iter().peekable();
            let of_kept = rows.iter().zip(groups).filter(|(row, _)| left.next_if_eq(row).is_some());
            of_kept.map(|(_, group)| *group).collect()
        });
        self.add_all(columns, &kept, groups.as_deref());
        Ok(())
    }

    fn add_all(&mut self, columns: &[Arc<Column>], rows: &[u32], groups: Option<&[u32]>) {
        let column = self.plain.column.map(|column| &*columns[column]);
        match column {
            None => self.count(rows, groups, |_| true),
            Some(column) => match self.plain.kind {
                Kind::Count => match &column.nulls {
                    None => self.count(rows, groups, |_| true),
                    Some(nulls) => self.count(rows, groups, |row| !nulls[row]),
                },
                Kind::CountDistinct => self.count_distinct(column, rows, groups),
                kind => self.take(kind, column, rows, groups),
            },
        }
    }

    fn count(&mut self, rows: &[u32], groups: Option<&[u32]>, counts: impl Fn(usize) -> bool) {
        match groups {
            None => {
                let counted = rows.iter().filter(|row| counts(place(**row))).count();
                self.counts[0] += i64::try_from(counted).expect("a chunk has fewer rows");
            }
            Some(groups) => {
                for (row, group) in rows.iter().zip(groups) {
                    self.counts[place(*group)] += i64::from(counts(place(*row)));
                }
            }
        }
    }

    fn count_distinct(&mut self, column: &Column, rows: &[u32], groups: Option<&[u32]>) {
        for (at, row) in rows.iter().enumerate() {
            let row = place(*row);
            if column.is_null(row) {
                continue;
            }
            let value = match &column.values {
                Values::Int4(values) => u128::from(values[row].cast_unsigned()),
                Values::Int8(values) => u128::from(values[row].cast_unsigned()),
                Values::Uuid(values) => values[row],
                Values::Code(values) => u128::from(values[row]),
                Values::Placed(places, _) => u128::from(places[row]),
            };
            self.see(groups.map_or(0, |groups| groups[at]), value);
        }
    }

    fn see(&mut self, group: u32, value: u128) {
        let (seen, entry) = (&mut self.seen, (group, value));
        let hash = |entry: &(u32, u128)| FxBuildHasher.hash_one(entry);
        if self.places.find(hash(&entry), |at| seen[place(*at)] == entry).is_some() {
            return;
        }
        // Beyond what 32 bits number there is no memory for them.
        let at = u32::try_from(seen.len()).expect("fewer than 2^32 values are seen");
        self.places.insert_unique(hash(&entry), at, |at| hash(&seen[place(*at)]));
        seen.push(entry);
        self.counts[place(group)] += 1;
    }

    fn take(&mut self, kind: Kind, column: &Column, rows: &[u32], groups: Option<&[u32]>) {
        match &column.values {
            Values::Int4(values) => {
                self.take_each(kind, column, rows, groups, |row| i64::from(values[row]));
            }
            Values::Int8(values) => self.take_each(kind, column, rows, groups, |row| values[row]),
            Values::Code(values) => {
                self.take_each(kind, column, rows, groups, |row| i64::from(values[row]));
            }
            // Plain::of has none of these.
            Values::Uuid(_) | Values::Placed(..) => {}
        }
    }

    #[inline]
    fn take_each(
        &mut self,
        kind: Kind,
        column: &Column,
        rows: &[u32],
        groups: Option<&[u32]>,
        value: impl Fn(usize) -> i64,
    ) {
        for (at, row) in rows.iter().enumerate() {
            let row = place(*row);
            if !column.is_null(row) {
                let group = groups.map_or(0, |groups| place(groups[at]));
                self.fold(kind, group, value(row), 1);
            }
        }
    }

    /// Takes in a value that stands for `count` ones.
    #[inline]
    fn fold(&mut self, kind: Kind, group: usize, value: i64, count: i64) {
        let state = &mut self.values[group];
        let first = self.counts[group] == 0;
        match kind {
            Kind::Min(_) => *state = if first { value } else { value.min(*state) },
            Kind::Max(_) => *state = if first { value } else { value.max(*state) },
            // 2^31 values of 32 bits are within 64.
            Kind::Sum | Kind::Average => *state = state.wrapping_add(value),
            Kind::Count | Kind::CountDistinct => {}
        }
        self.counts[group] += count;
    }

    /// Takes in the states of others, whose groups are these.
    pub(super) fn merge(&mut self, other: &Self, groups: &[u32]) {
        if self.plain.kind == Kind::CountDistinct {
            for (group, value) in &other.seen {
                self.see(groups[place(*group)], *value);
            }
            return;
        }
        for (at, group) in groups.iter().enumerate() {
            let (count, group) = (other.counts[at], place(*group));
            if self.plain.kind == Kind::Count {
                self.counts[group] += count;
            } else if count > 0 {
                self.fold(self.plain.kind, group, other.values[at], count);
            }
        }
    }

    /// Appends the states of some groups of others, which can [be cut](Plain::can_be_cut).
    pub(super) fn append(&mut self, other: &Self, groups: &[u32]) {
        self.counts.extend(groups.iter().map(|group| other.counts[place(*group)]));
        if !other.values.is_empty() {
            self.values.extend(groups.iter().map(|group| other.values[place(*group)]));
        }
    }

    /// The value of a group.
    pub(super) fn value(&self, group: u32) -> Result<Datum> {
        let group = place(group);
        let count = self.counts[group];
        if matches!(self.plain.kind, Kind::Count | Kind::CountDistinct) {
            return Ok(Datum::Int8(count));
        }
        if count == 0 {
            return Ok(Datum::Null);
        }
        let value = self.values[group];
        let narrow = || i32::try_from(value).unwrap_or_default();
        Ok(match self.plain.kind {
            Kind::Min(kind) | Kind::Max(kind) => match kind {
                ColumnKind::Int4 => Datum::Int4(narrow()),
                ColumnKind::Date => Datum::Date(narrow()),
                ColumnKind::Code => code_text(u32::try_from(value).unwrap_or_default()),
                ColumnKind::Int8 => Datum::Int8(value),
                ColumnKind::TimestampTz => Datum::TimestampTz(value),
                ColumnKind::Uuid | ColumnKind::Dictionary | ColumnKind::Any => {
                    return Err(SqlError::internal("there is no order of these"));
                }
            },
            Kind::Sum | Kind::Count | Kind::CountDistinct => Datum::Int8(value),
            Kind::Average => Datum::from(Numeric::from(value).div(&Numeric::from(count))?),
        })
    }
}
