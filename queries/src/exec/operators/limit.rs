//! `LIMIT`, `OFFSET` and `FETCH FIRST .. WITH TIES`.

use crate::error::{Result, SqlError, SqlState};
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::equal;
use crate::exec::operators::{BoxOperator, Operator};
use crate::exec::{BATCH_ROWS, Batch};
use crate::plan::{Expr, Plan, SortKey};
use crate::types::Datum;

struct Limit {
    input: BoxOperator,
    rows: Option<Compiled>,
    offset: Option<Compiled>,
    ties: Option<Vec<Compiled>>,
    progress: Option<Progress>,
}

/// What is left to skip and to give.
struct Progress {
    skip: usize,
    give: Option<usize>,
    /// The key of the last row within the limit.
    last: Option<Vec<Datum>>,
}

/// Builds a limit.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    limit: Option<&Expr>,
    offset: Option<&Expr>,
    ties: Option<&[SortKey]>,
) -> Result<BoxOperator> {
    let input = builder.operator(input)?;
    let ties =
        ties.map(|keys| builder.sort_keys(keys)).transpose()?.map(|(expressions, _)| expressions);
    Ok(Box::new(Limit {
        input,
        rows: builder.optional(limit)?,
        offset: builder.optional(offset)?,
        ties,
        progress: None,
    }))
}

/// The value of a limit or an offset; none for null.
pub(crate) fn count(value: &Datum, state: SqlState, name: &str) -> Result<Option<usize>> {
    let count = match value {
        Datum::Null => return Ok(None),
        Datum::Int8(count) => *count,
        Datum::Int4(count) => i64::from(*count),
        Datum::Int2(count) => i64::from(*count),
        _ => return Err(SqlError::internal("a row count is not of type bigint")),
    };
    usize::try_from(count)
        .map(Some)
        .map_err(|_| SqlError::new(state, format!("{name} must not be negative")))
}

impl Limit {
    fn start(&mut self, env: &Env<'_>) -> Result<()> {
        let evaluated = |it: &Option<Compiled>, state, name| match it {
            Some(it) => count(&*it.eval(&[], env)?, state, name),
            None => Ok(None),
        };
        let skip =
            evaluated(&self.offset, SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET")?
                .unwrap_or(0);
        let give = evaluated(&self.rows, SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT")?;
        if let Some(give) = give
            && self.ties.is_none()
        {
            self.input.bound(skip.saturating_add(give));
        }
        self.progress = Some(Progress { skip, give, last: None });
        Ok(())
    }
}

impl Operator for Limit {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.progress.is_none() {
            self.start(&env)?;
        }
        let Some(progress) = &mut self.progress else { return Ok(None) };
        loop {
            if progress.give == Some(0) && (self.ties.is_none() || progress.last.is_none()) {
                return Ok(None);
            }
            let wanted = progress
                .give
                .map_or(env.rows, |give| give.min(env.rows))
                .saturating_add(progress.skip.min(BATCH_ROWS));
            let Some(mut batch) = self.input.next(env.wanting(wanted))? else { return Ok(None) };
            let skipped = progress.skip.min(batch.rows);
            progress.skip -= skipped;
            batch.values.drain(..skipped * batch.width);
            batch.rows -= skipped;
            progress.cut(&mut batch, self.ties.as_deref(), &env)?;
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }

    fn rewind(&mut self) {
        self.progress = None;
        self.input.rewind();
    }
}

impl Progress {
    /// Cuts a batch off at the limit, or behind the rows equal to the last one within it.
    fn cut(&mut self, batch: &mut Batch, ties: Option<&[Compiled]>, env: &Env<'_>) -> Result<()> {
        let Some(give) = &mut self.give else { return Ok(()) };
        let mut kept = (*give).min(batch.rows);
        *give -= kept;
        if let Some(ties) = ties
            && *give == 0
        {
            let key = |row: usize| {
                let mut key = Vec::with_capacity(ties.len());
                eval_all(
                    ties,
                    &batch.values[row * batch.width..(row + 1) * batch.width],
                    env,
                    &mut key,
                )
                .map(|()| key)
            };
            if kept > 0 {
                self.last = Some(key(kept - 1)?);
            }
            while kept < batch.rows
                && let Some(last) = &self.last
            {
                if !key(kept)?.iter().zip(last).all(|(left, right)| equal(left, right)) {
                    self.last = None;
                    break;
                }
                kept += 1;
            }
        }
        batch.values.truncate(kept * batch.width);
        batch.rows = kept;
        Ok(())
    }
}
