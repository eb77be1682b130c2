//! What is computed for each row of a partition.

use crate::error::{Result, SqlError, SqlState};
use crate::exec::BATCH_ROWS;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::exec::operators::window::Partition;
use crate::exec::operators::window::frame::{CompiledFrame, FrameRows};
use crate::plan::{Expr, WindowCall, WindowCallee};
use crate::types::functions::{Accumulator, AggregateFunction, WindowKind};
use crate::types::{Datum, PgType};

/// A compiled window call.
pub(super) struct Call {
    callee: WindowCallee,
    arguments: Vec<Compiled>,
    /// The types of the arguments.
    types: Vec<PgType>,
    filter: Option<Compiled>,
    frame: CompiledFrame,
}

impl Call {
    /// Compiles a call.
    pub(super) fn new(builder: &mut Builder<'_>, call: &WindowCall) -> Result<Self> {
        Ok(Self {
            callee: call.function,
            arguments: builder.expressions(&call.arguments)?,
            types: call.arguments.iter().map(Expr::ty).collect(),
            filter: builder.optional(call.filter.as_ref())?,
            frame: CompiledFrame::new(builder, &call.frame)?,
        })
    }

    /// Computes the call for each row of a partition into the results by row number.
    pub(super) fn run(
        &self,
        partition: &Partition<'_>,
        results: &mut [Datum],
        env: &Env<'_>,
    ) -> Result<()> {
        let kind = match self.callee {
            WindowCallee::Aggregate(function) => {
                return self.aggregate(function, partition, results, env);
            }
            WindowCallee::Window(function) => function.kind,
        };
        match kind {
            WindowKind::Ntile => self.ntile(partition, results, env),
            WindowKind::Lag | WindowKind::Lead => {
                for place in 0..partition.len() {
                    results[partition.number(place)] =
                        self.neighbour(kind, partition, place, env)?;
                }
                Ok(())
            }
            WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue => {
                let frame = self.frame.start(partition, env)?;
                for place in 0..partition.len() {
                    let rows = frame.rows(place)?;
                    results[partition.number(place)] =
                        self.framed_value(kind, partition, place, &rows, env)?;
                }
                Ok(())
            }
            _ => {
                for place in 0..partition.len() {
                    results[partition.number(place)] = ranked(kind, partition, place);
                }
                Ok(())
            }
        }
    }

    /// An argument's value over a row.
    fn argument(&self, number: usize, row: &[Datum], env: &Env<'_>) -> Result<Option<Datum>> {
        self.arguments
            .get(number)
            .map(|argument| Ok(argument.eval(row, env)?.into_owned()))
            .transpose()
    }

    fn ntile(&self, partition: &Partition<'_>, results: &mut [Datum], env: &Env<'_>) -> Result<()> {
        let Some(buckets) = self.argument(0, partition.row(0), env)?.as_ref().and_then(integer)
        else {
            return Ok(());
        };
        let buckets =
            usize::try_from(buckets).ok().filter(|buckets| *buckets > 0).ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_ARGUMENT_FOR_NTILE_FUNCTION,
                    "argument of ntile must be greater than zero",
                )
            })?;
        let (small, larger) = (partition.len() / buckets, partition.len() % buckets);
        // The first buckets hold one row more, until the remainder is used up.
        let behind_larger = larger * (small + 1);
        for place in 0..partition.len() {
            let bucket = if place < behind_larger {
                place / (small + 1)
            } else {
                larger + (place - behind_larger) / small.max(1)
            };
            results[partition.number(place)] =
                Datum::Int4(i32::try_from(bucket + 1).unwrap_or(i32::MAX));
        }
        Ok(())
    }

    fn neighbour(
        &self,
        kind: WindowKind,
        partition: &Partition<'_>,
        place: usize,
        env: &Env<'_>,
    ) -> Result<Datum> {
        let row = partition.row(place);
        let offset = match self.argument(1, row, env)? {
            None => 1,
            Some(offset) => match integer(&offset) {
                Some(offset) => offset,
                None => return Ok(Datum::Null),
            },
        };
        let offset = if kind == WindowKind::Lag { -offset } else { offset };
        let target = i64::try_from(place).ok().and_then(|place| place.checked_add(offset));
        let target = target
            .and_then(|target| usize::try_from(target).ok())
            .filter(|target| *target < partition.len());
        let value = match target {
            Some(target) => self.argument(0, partition.row(target), env)?,
            None => self.argument(2, row, env)?,
        };
        Ok(value.unwrap_or_default())
    }

    fn framed_value(
        &self,
        kind: WindowKind,
        partition: &Partition<'_>,
        place: usize,
        rows: &FrameRows,
        env: &Env<'_>,
    ) -> Result<Datum> {
        let target = match kind {
            WindowKind::FirstValue => rows.nth(0),
            WindowKind::LastValue => rows.last(),
            _ => {
                let Some(number) =
                    self.argument(1, partition.row(place), env)?.as_ref().and_then(integer)
                else {
                    return Ok(Datum::Null);
                };
                let number = usize::try_from(number)
                    .ok()
                    .and_then(|number| number.checked_sub(1))
                    .ok_or_else(|| {
                        SqlError::new(
                            SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
                            "argument of nth_value must be greater than zero",
                        )
                    })?;
                rows.nth(number)
            }
        };
        match target {
            Some(target) => Ok(self.argument(0, partition.row(target), env)?.unwrap_or_default()),
            None => Ok(Datum::Null),
        }
    }

    fn aggregate(
        &self,
        function: &'static AggregateFunction,
        partition: &Partition<'_>,
        results: &mut [Datum],
        env: &Env<'_>,
    ) -> Result<()> {
        let inputs = self.inputs(function, partition, env)?;
        let frame = self.frame.start(partition, env)?;
        let mut running =
            Running { function, types: &self.types, inputs: &inputs, state: None, fed: 0 };
        for place in 0..partition.len() {
            let rows = frame.rows(place)?;
            results[partition.number(place)] = running.value(rows, env)?;
        }
        Ok(())
    }

    /// The argument values of each place; none where the row does not count.
    fn inputs(
        &self,
        function: &AggregateFunction,
        partition: &Partition<'_>,
        env: &Env<'_>,
    ) -> Result<Inputs> {
        let mut inputs = Inputs { counts: Vec::with_capacity(partition.len()), values: Vec::new() };
        for place in 0..partition.len() {
            let row = partition.row(place);
            let before = inputs.values.len();
            crate::exec::expression::eval_all(&self.arguments, row, env, &mut inputs.values)?;
            let passed_over = function.strict && inputs.values[before..].iter().any(Datum::is_null);
            let filtered = match &self.filter {
                Some(filter) => filter.test(row, env)? != Some(true),
                None => false,
            };
            inputs.counts.push(!passed_over && !filtered);
        }
        Ok(inputs)
    }
}

struct Inputs {
    counts: Vec<bool>,
    values: Vec<Datum>,
}

/// An aggregate over one frame after the other: a frame that only grows is fed the new rows.
struct Running<'a> {
    function: &'static AggregateFunction,
    types: &'a [PgType],
    inputs: &'a Inputs,
    state: Option<(FrameRows, Box<dyn Accumulator>, Datum)>,
    /// The rows fed since the last look at the cancel flag.
    fed: usize,
}

impl Running<'_> {
    fn value(&mut self, rows: FrameRows, env: &Env<'_>) -> Result<Datum> {
        if let Some((before, _, value)) = &self.state
            && *before == rows
        {
            return Ok(value.clone());
        }
        let (mut accumulator, done) = match self.state.take() {
            Some((before, accumulator, _)) if rows.extends(&before) => (accumulator, before.len()),
            _ => ((self.function.state)(self.types), 0),
        };
        for place in rows.iter().skip(done) {
            if self.inputs.counts[place] {
                let width = self.types.len();
                let values = &self.inputs.values[place * width..(place + 1) * width];
                accumulator.add(&env.eval(), values)?;
            }
            self.fed += 1;
            if self.fed >= BATCH_ROWS {
                self.fed = 0;
                env.check()?;
            }
        }
        let value = accumulator.value(&env.eval())?;
        self.state = Some((rows, accumulator, value.clone()));
        Ok(value)
    }
}

/// The functions that only ask where a row stands.
fn ranked(kind: WindowKind, partition: &Partition<'_>, place: usize) -> Datum {
    let peers = partition.peers(place);
    let count = |count: usize| Datum::Int8(i64::try_from(count).unwrap_or(i64::MAX));
    match kind {
        WindowKind::RowNumber => count(place + 1),
        WindowKind::Rank => count(peers.start + 1),
        WindowKind::DenseRank => count(partition.group_of[place] + 1),
        WindowKind::PercentRank if partition.len() < 2 => Datum::Float8(0.0),
        WindowKind::PercentRank => Datum::Float8(float(peers.start) / float(partition.len() - 1)),
        WindowKind::CumeDist => Datum::Float8(float(peers.end) / float(partition.len())),
        _ => Datum::Null,
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "row counts are far below 2^53"
)]
fn float(count: usize) -> f64 {
    count as f64
}

fn integer(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        _ => None,
    }
}
