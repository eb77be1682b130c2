//! Subqueries as values: run once if they see no enclosing row, else once for each combination of the enclosing
//! values that they refer to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::{Env, Outer, Statement};
use crate::exec::expression::array::{nest, vector};
use crate::exec::expression::comparison::{Comparison, comparison};
use crate::exec::expression::{Compiled, apply_operator};
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::BoxOperator;
use crate::exec::row_table::RowTable;
use crate::types::functions::ScalarFunction;
use crate::types::{Datum, PgType};

/// The combinations of enclosing values whose answers are kept; then all are forgotten.
const MEMO_ENTRIES_MAX: usize = 4096;

/// A subquery ready to be asked.
pub(crate) struct SubqueryValue {
    kind: Kind,
    /// The enclosing columns that it refers to, depth 1 being the row it stands in.
    references: Box<[(usize, usize)]>,
    /// Whether equal enclosing values give equal answers.
    repeatable: bool,
    /// Whether it reads the rows of a recursive union's round.
    recursive: bool,
    state: Mutex<State>,
}

/// What is made of the rows.
pub(crate) enum Kind {
    Scalar,
    Exists,
    Array(PgType),
    Quantified(QuantifiedRows),
}

/// `left op ANY/ALL` of rows.
pub(crate) struct QuantifiedRows {
    left: Box<[Compiled]>,
    operators: Vec<(&'static ScalarFunction, Option<Comparison>)>,
    all: bool,
}

struct State {
    operator: BoxOperator,
    constant: Option<Answer>,
    memo: RowTable,
    answers: Vec<Answer>,
    answers_memory: Reservation,
    round: u64,
}

#[derive(Clone)]
enum Answer {
    Value(Datum),
    Rows(Arc<RowSet>),
}

/// The distinct rows of a quantified subquery.
struct RowSet {
    table: RowTable,
    /// The numbers of the rows that hold a null.
    with_null: Vec<usize>,
}

/// What is known of a subquery's plan.
pub(crate) struct Dependencies {
    pub(crate) references: Box<[(usize, usize)]>,
    pub(crate) repeatable: bool,
    pub(crate) recursive: bool,
}

impl SubqueryValue {
    /// A subquery that has not been asked yet.
    pub(crate) fn new(
        kind: Kind,
        operator: BoxOperator,
        dependencies: Dependencies,
        statement: &Statement,
    ) -> Self {
        let Dependencies { references, repeatable, recursive } = dependencies;
        let state = State {
            operator,
            constant: None,
            memo: RowTable::new(references.len(), statement),
            answers: Vec::new(),
            answers_memory: statement.reservation(),
            round: 0,
        };
        Self { kind, references, repeatable, recursive, state: Mutex::new(state) }
    }

    /// The value over the row it stands in.
    pub(super) fn eval(&self, row: &[Datum], env: &Env<'_>) -> Result<Datum> {
        match (&self.kind, self.answer(row, env)?) {
            (Kind::Quantified(quantified), Answer::Rows(rows)) => {
                Ok(quantified.test(&rows, row, env)?.map_or(Datum::Null, Datum::Bool))
            }
            (_, Answer::Value(value)) => Ok(value),
            (_, Answer::Rows(_)) => Err(SqlError::internal("rows where a value was expected")),
        }
    }

    fn answer(&self, row: &[Datum], env: &Env<'_>) -> Result<Answer> {
        let outer = Outer { row, parent: env.outers };
        let inside = env.inside(&outer);
        let state = &mut *self.state.lock();
        if self.recursive {
            state.forget_after_round(env.statement.round.load(Ordering::Relaxed));
        }
        if self.references.is_empty() {
            if let Some(answer) = &state.constant {
                return Ok(answer.clone());
            }
            let answer = self.run(state, &inside)?;
            state.constant = Some(answer.clone());
            return Ok(answer);
        }
        if !self.repeatable {
            return self.run(state, &inside);
        }
        let mut key: SmallVec<[Datum; 4]> = SmallVec::new();
        for (depth, column) in &self.references {
            key.push(inside.outer(*depth, *column)?.clone());
        }
        if let Some(number) = state.memo.find(&key) {
            return Ok(state.answers[number].clone());
        }
        let answer = self.run(state, &inside)?;
        state.remember(&key, &answer);
        Ok(answer)
    }

    fn run(&self, state: &mut State, env: &Env<'_>) -> Result<Answer> {
        env.check()?;
        let operator = &mut state.operator;
        operator.rewind();
        match &self.kind {
            Kind::Scalar => scalar(operator, env).map(Answer::Value),
            Kind::Exists => {
                Ok(Answer::Value(Datum::Bool(operator.next(env.wanting(1))?.is_some())))
            }
            Kind::Array(ty) => array(operator, *ty, env).map(Answer::Value),
            Kind::Quantified(quantified) => {
                let mut rows = RowSet {
                    table: RowTable::new(quantified.left.len(), env.statement),
                    with_null: Vec::new(),
                };
                while let Some(batch) = operator.next(*env)? {
                    for row in batch.iter() {
                        let (number, new) = rows.table.insert(row)?;
                        if new && row.iter().any(Datum::is_null) {
                            rows.with_null.push(number);
                        }
                    }
                }
                Ok(Answer::Rows(Arc::new(rows)))
            }
        }
    }
}

impl State {
    fn forget_after_round(&mut self, round: u64) {
        if self.round != round {
            self.round = round;
            self.constant = None;
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.memo.clear();
        self.answers.clear();
        self.answers_memory.clear();
    }

    /// Keeps an answer; a memo that does not fit into memory is given up, not an error.
    fn remember(&mut self, key: &[Datum], answer: &Answer) {
        if self.memo.len() >= MEMO_ENTRIES_MAX {
            self.forget();
        }
        let bytes = match answer {
            Answer::Value(value) => bytes_of(std::slice::from_ref(value)),
            Answer::Rows(_) => 64,
        };
        if self.answers_memory.try_grow(bytes) && self.memo.insert(key).is_ok() {
            self.answers.push(answer.clone());
        } else {
            self.forget();
        }
    }
}

fn scalar(operator: &mut BoxOperator, env: &Env<'_>) -> Result<Datum> {
    let Some(batch) = operator.next(env.wanting(2))? else { return Ok(Datum::Null) };
    if batch.rows > 1 || operator.next(env.wanting(1))?.is_some() {
        return Err(SqlError::new(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        ));
    }
    Ok(batch.values.into_iter().next().unwrap_or(Datum::Null))
}

fn array(operator: &mut BoxOperator, ty: PgType, env: &Env<'_>) -> Result<Datum> {
    let mut memory = env.statement.reservation();
    let mut elements = Vec::new();
    while let Some(batch) = operator.next(*env)? {
        memory.grow(bytes_of(&batch.values))?;
        let width = batch.width.max(1);
        elements.extend(batch.values.into_iter().step_by(width));
    }
    let element =
        ty.element().ok_or_else(|| SqlError::internal(format!("{ty:?} is no array type")))?;
    if elements.iter().any(|element| matches!(element, Datum::Array(_))) {
        return nest(element, elements);
    }
    Ok(vector(element, elements))
}

impl QuantifiedRows {
    /// The comparison of a left side with rows.
    pub(crate) fn new(
        left: Box<[Compiled]>,
        operators: &[&'static ScalarFunction],
        all: bool,
    ) -> Self {
        let operators = operators.iter().map(|operator| {
            let comparison = if operator.strict { comparison(operator) } else { None };
            (*operator, comparison)
        });
        Self { left, operators: operators.collect(), all }
    }

    fn test(&self, rows: &RowSet, row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let mut left: SmallVec<[Datum; 4]> = SmallVec::new();
        for expression in &self.left {
            left.push(expression.eval(row, env)?.into_owned());
        }
        let equality = if self.all { Comparison::NotEqual } else { Comparison::Equal };
        if self.operators.iter().all(|(_, comparison)| *comparison == Some(equality)) {
            let found = Self::find(rows, &left, env)?;
            return Ok(if self.all { found.map(|found| !found) } else { found });
        }
        let mut unknown = false;
        for number in 0..rows.table.len() {
            match self.compare(&left, rows.table.row(number), env)? {
                None => unknown = true,
                Some(value) if value != self.all => return Ok(Some(value)),
                Some(_) => {}
            }
        }
        Ok(if unknown { None } else { Some(self.all) })
    }

    /// Whether the left side equals a row: certainly, certainly not, or unknown for nulls.
    fn find(rows: &RowSet, left: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let left_has_null = left.iter().any(Datum::is_null);
        if !left_has_null && rows.table.find(left).is_some() {
            return Ok(Some(true));
        }
        if left.len() == 1 {
            let unknown =
                if left_has_null { rows.table.len() > 0 } else { !rows.with_null.is_empty() };
            return Ok(if unknown { None } else { Some(false) });
        }
        let may_be_equal = |number: &usize| {
            let row = rows.table.row(*number);
            left.iter()
                .zip(row)
                .all(|(l, r)| l.is_null() || r.is_null() || crate::exec::key::equal(l, r))
        };
        env.check()?;
        let unknown = if left_has_null {
            (0..rows.table.len()).any(|number| may_be_equal(&number))
        } else {
            rows.with_null.iter().any(may_be_equal)
        };
        Ok(if unknown { None } else { Some(false) })
    }

    /// The left side against one row: all columns for `=`, any column for `<>`, the only column for others.
    fn compare(&self, left: &[Datum], row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let any = self.operators.len() > 1
            && crate::exec::expression::comparison::is_inequality(self.operators[0].0);
        let mut unknown = false;
        for (((operator, comparison), left), right) in self.operators.iter().zip(left).zip(row) {
            match apply_operator(operator, *comparison, left, right, env)? {
                None => unknown = true,
                Some(value) if value == any => return Ok(Some(any)),
                Some(_) => {}
            }
        }
        Ok(if unknown { None } else { Some(!any) })
    }
}

impl fmt::Debug for SubqueryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubqueryValue")
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}
