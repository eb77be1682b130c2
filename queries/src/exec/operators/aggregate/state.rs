//! One aggregate of one group: fed as rows come, or gathered first where `DISTINCT` or `ORDER BY` want an order.

use smallvec::SmallVec;

use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::{Direction, compare_rows, equal};
use crate::exec::memory::{Reservation, bytes_of};
use crate::plan::{AggregateCall, Expr};
use crate::types::functions::floats::from_int8;
use crate::types::functions::{Accumulator, AggregateFunction, WindowKind};
use crate::types::{Datum, PgType};

/// Roughly what a state holds beyond its own size.
pub(super) const STATE_BYTES: usize = 64;

/// A compiled call of an aggregate.
#[derive(Debug)]
pub(crate) struct Aggregated {
    function: &'static AggregateFunction,
    /// The types of what the accumulator is fed.
    types: Vec<PgType>,
    arguments: Vec<Compiled>,
    filter: Option<Compiled>,
    order: Vec<Compiled>,
    /// How gathered rows are sorted: the order's keys, then with `DISTINCT` the arguments.
    directions: Vec<Direction>,
    distinct: bool,
    counts: bool,
}

/// The state of one group.
#[derive(Debug)]
pub(crate) enum State {
    /// `count`, which needs no call.
    Count(i64),
    /// Fed as rows come.
    Fed { accumulator: Box<dyn Accumulator>, bytes: usize },
    /// Order keys and arguments of the rows, to be sorted and fed at the end.
    Gathered(Vec<Datum>),
}

impl Aggregated {
    /// Compiles a call.
    pub(crate) fn new(builder: &mut Builder<'_>, call: &AggregateCall) -> Result<Self> {
        let arguments = builder.expressions(&call.arguments)?;
        let (order, mut directions) = builder.sort_keys(&call.order)?;
        if call.distinct {
            directions.extend(arguments.iter().map(|_| Direction::ASCENDING));
        }
        let counts = call.function.name == "count" && !call.distinct && call.order.is_empty();
        let filter = builder.optional(call.filter.as_ref())?;
        let mut types: Vec<PgType> = call.arguments.iter().map(Expr::ty).collect();
        if call.function.ordered_set {
            types.extend(call.order.iter().map(|key| key.expression.ty()));
        }
        Ok(Self {
            function: call.function,
            types,
            arguments,
            filter,
            order,
            directions,
            distinct: call.distinct,
            counts,
        })
    }

    /// The state of a group without rows.
    pub(crate) fn state(&self) -> State {
        if self.counts {
            State::Count(0)
        } else if self.directions.is_empty() {
            State::Fed { accumulator: (self.function.state)(&self.types), bytes: 0 }
        } else {
            State::Gathered(Vec::new())
        }
    }

    /// Takes in a row.
    pub(crate) fn add(
        &self,
        state: &mut State,
        row: &[Datum],
        env: &Env<'_>,
        memory: &mut Reservation,
    ) -> Result<()> {
        if let Some(filter) = &self.filter
            && filter.test(row, env)? != Some(true)
        {
            return Ok(());
        }
        match state {
            State::Count(count) => {
                let counted = match self.arguments.first() {
                    None => true,
                    Some(argument) => !argument.eval(row, env)?.is_null(),
                };
                *count += i64::from(counted);
            }
            State::Fed { accumulator, bytes } => {
                if let [argument] = &*self.arguments {
                    let value = argument.eval(row, env)?;
                    self.feed(&mut **accumulator, std::slice::from_ref(&*value), env)?;
                } else {
                    let mut values: SmallVec<[Datum; 4]> = SmallVec::new();
                    for argument in &self.arguments {
                        values.push(argument.eval(row, env)?.into_owned());
                    }
                    self.feed(&mut **accumulator, &values, env)?;
                }
                let now = accumulator.bytes();
                if now > *bytes {
                    memory.grow(now - *bytes)?;
                    *bytes = now;
                }
            }
            State::Gathered(rows) => {
                let before = rows.len();
                eval_all(&self.order, row, env, rows)?;
                eval_all(&self.arguments, row, env, rows)?;
                memory.grow(bytes_of(&rows[before..]))?;
            }
        }
        Ok(())
    }

    /// The value of a group.
    pub(crate) fn value(&self, state: &mut State, env: &Env<'_>) -> Result<Datum> {
        match state {
            State::Count(count) => Ok(Datum::Int8(*count)),
            State::Fed { accumulator, .. } => accumulator.value(&env.eval()),
            State::Gathered(rows) => {
                let rows = std::mem::take(rows);
                self.gathered_value(&rows, env)
            }
        }
    }

    /// Feeds an accumulator, unless a null argument of a strict function passes it by.
    pub(crate) fn feed(
        &self,
        accumulator: &mut dyn Accumulator,
        arguments: &[Datum],
        env: &Env<'_>,
    ) -> Result<()> {
        if self.function.strict && arguments.iter().any(Datum::is_null) {
            return Ok(());
        }
        accumulator.add(&env.eval(), arguments)
    }

    /// Sorts what was gathered, drops repeats, and feeds it. An ordered-set aggregate is fed its direct
    /// arguments and then what it is ordered by.
    fn gathered_value(&self, values: &[Datum], env: &Env<'_>) -> Result<Datum> {
        let keys = self.order.len();
        let mut rows: Vec<&[Datum]> = values.chunks(keys + self.arguments.len()).collect();
        env.check()?;
        rows.sort_by(|left, right| compare_rows(&self.directions, left, right));
        if self.distinct {
            rows.dedup_by(|left, right| {
                left[keys..].iter().zip(&right[keys..]).all(|(left, right)| equal(left, right))
            });
        }
        if let Some(kind) = self.function.hypothetical {
            return Ok(self.hypothetical_value(kind, &rows));
        }
        let mut accumulator = (self.function.state)(&self.types);
        let mut arguments = Vec::new();
        for row in rows {
            if self.function.ordered_set {
                arguments.clear();
                arguments.extend_from_slice(&row[keys..]);
                arguments.extend_from_slice(&row[..keys]);
                self.feed(&mut *accumulator, &arguments, env)?;
            } else {
                self.feed(&mut *accumulator, &row[keys..], env)?;
            }
        }
        accumulator.value(&env.eval())
    }

    /// Where the row of the direct arguments would stand among the sorted rows.
    fn hypothetical_value(&self, kind: WindowKind, rows: &[&[Datum]]) -> Datum {
        let keys = self.order.len();
        let order =
            |row: &[Datum]| compare_rows(&self.directions, &row[..keys], &row[keys..keys * 2]);
        let before = rows.partition_point(|row| order(row).is_lt());
        let share = |part: usize, whole: usize| {
            let float = |count: usize| from_int8(i64::try_from(count).unwrap_or(i64::MAX));
            Datum::Float8(if whole == 0 { 0.0 } else { float(part) / float(whole) })
        };
        let count = |count: usize| Datum::Int8(i64::try_from(count).unwrap_or(i64::MAX));
        match kind {
            WindowKind::DenseRank => {
                let differ = |pair: &&[&[Datum]]| {
                    compare_rows(&self.directions, &pair[0][..keys], &pair[1][..keys]).is_ne()
                };
                let groups = rows[..before].windows(2).filter(differ).count();
                count(groups + usize::from(before > 0) + 1)
            }
            WindowKind::PercentRank => share(before, rows.len()),
            WindowKind::CumeDist => {
                share(rows.partition_point(|row| order(row).is_le()) + 1, rows.len() + 1)
            }
            _ => count(before + 1),
        }
    }
}
