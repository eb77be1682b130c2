//! Joins of a flow with what is small: the right side is read into memory, by rows, and becomes columns; each chunk of the
//! left side looks its rows up.
//!
//! Where no two right rows have the same keys, a chunk keeps its columns as they are, and gets those of the right side
//! beside them. What has many partners for each row is joined by rows.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::column::{CODE_BYTES_MAX, Column, ColumnKind, NO_ROW, Piece, Values};
use crate::error::{Result, SqlError};
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::join::JoinCondition;
use crate::exec::operators::{Operator as _, Shared};
use crate::exec::row_table::RowTable;
use crate::optimize::walk;
use crate::plan::{Expr, JoinKind, Plan};
use crate::types::{Datum, PgType};

use super::filter::place;
use super::flow::{Chunk, Flow, FlowColumn, Source, Stage, unwanted, wanted};
use super::groups::{Groups, KeyShape};

/// The most right rows with the same keys: a chunk may grow so many times.
const PARTNERS_MAX: usize = 16;

struct Join {
    left: Box<dyn Stage>,
    left_width: usize,
    right: Shared,
    right_keys: Vec<Compiled>,
    kind: JoinKind,
    keys: Keys,
    /// The columns of the right rows.
    columns: Vec<FlowColumn>,
    /// The left columns that are wanted, and the right ones.
    wanted: Vec<bool>,
}

/// How keys are compared.
#[derive(Clone)]
struct Keys {
    /// What they are.
    kinds: Vec<ColumnKind>,
    /// Those of left rows, in their columns, and those of right rows, in columns of their own.
    left: KeyShape,
    right: KeyShape,
}

/// The right rows by their keys, and what is joined with them.
struct JoinSource<const K: usize> {
    left: Arc<dyn Source>,
    left_width: usize,
    kind: JoinKind,
    keys: Keys,
    groups: Groups<K>,
    /// The first right row of each group, and the next one with the same keys of each row.
    first: Vec<u32>,
    next: Vec<u32>,
    /// Whether no two of them have the same keys.
    unique: bool,
    columns: Vec<Arc<Column>>,
    wanted: Vec<bool>,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    memory: Reservation,
}

/// The flow of a join that keeps all that comes out to the left rows.
pub(super) fn stage(
    builder: &mut Builder<'_>,
    left: &Plan,
    right: &Plan,
    kind: JoinKind,
    on: Option<&Expr>,
) -> Result<Option<Flow>> {
    let Some(input) = Flow::input(builder, left)? else { return Ok(None) };
    let Some(rows) = builder.shared(right) else { return Ok(None) };
    if !walk::outer_references(right).is_empty() || !walk::is_repeatable_plan(right) {
        return Ok(None);
    }
    let JoinCondition { left_keys, right_keys, residual } =
        JoinCondition::split(on, left.columns.len());
    let residual = walk::conjunction(residual);
    if residual.is_some() && kind != JoinKind::Inner {
        return Ok(None);
    }
    let Some(keys) = Keys::of(&left_keys, &right_keys, &input.columns) else { return Ok(None) };
    let right_keys = builder.expressions(&right_keys)?;
    let of_right: Vec<FlowColumn> = match kind {
        JoinKind::Semi | JoinKind::Anti => Vec::new(),
        _ => right.columns.iter().map(|column| right_column(column.ty)).collect(),
    };
    let left_width = input.columns.len();
    let columns: Vec<FlowColumn> = input.columns.iter().chain(&of_right).copied().collect();
    let stage = Join {
        left: input.stage,
        left_width,
        right: rows,
        right_keys,
        kind,
        keys,
        wanted: vec![true; columns.len()],
        columns: of_right,
    };
    let flow = Flow { columns, stage: Box::new(stage) };
    match residual {
        Some(residual) => flow.filtered(builder, Some(&residual)),
        None => Ok(Some(flow)),
    }
}

/// What a column of rows becomes. Any of them may be null.
fn right_column(ty: PgType) -> FlowColumn {
    let kind = super::scan::fixed(ty).unwrap_or(match ty {
        PgType::Text | PgType::Bool => ColumnKind::Dictionary,
        _ => ColumnKind::Any,
    });
    FlowColumn { kind, nullable: true }
}

impl Keys {
    /// Those of a join; none if they are anything but plain left columns of fixed width, or too long.
    fn of(left: &[Expr], right: &[Expr], columns: &[FlowColumn]) -> Option<Self> {
        if left.is_empty() {
            return None;
        }
        let mut of_left = Vec::with_capacity(left.len());
        let mut of_right = Vec::with_capacity(left.len());
        for (at, (left, right)) in left.iter().zip(right).enumerate() {
            let Expr::Column(column, ty) = left else { return None };
            let column = (*column, *columns.get(*column)?);
            let dictionary = column.1.kind == ColumnKind::Dictionary;
            if *ty != right.ty() || dictionary {
                return None;
            }
            // Rows with nulls are looked for by nobody.
            let not_null = FlowColumn { nullable: false, ..column.1 };
            of_left.push((column.0, not_null));
            of_right.push((at, not_null));
        }
        let kinds = of_left.iter().map(|(_, column)| column.kind).collect();
        Some(Self { kinds, left: KeyShape::of(&of_left)?, right: KeyShape::of(&of_right)? })
    }
}

/// Right rows being read.
struct Gathering {
    keys: Vec<Column>,
    columns: Vec<Gathered>,
    rows: usize,
    memory: Reservation,
}

/// A column of right rows being read.
struct Gathered {
    column: Column,
    /// The places of the values that there are, of a dictionary.
    places: Option<RowTable>,
    wanted: bool,
}

impl Gathered {
    fn new(of: FlowColumn, wanted: bool, statement: &Statement) -> Self {
        let places = (of.kind == ColumnKind::Dictionary).then(|| RowTable::new(1, statement));
        Self { column: Column::with_capacity(of.kind, 0), places, wanted }
    }

    fn push(&mut self, value: &Datum) -> Result<()> {
        let misfit = || SqlError::internal("a value does not fit its column");
        if !self.wanted {
            return Ok(());
        }
        let Some(table) = &mut self.places else {
            return if self.column.push(value) { Ok(()) } else { Err(misfit()) };
        };
        let (number, _) = table.insert(std::slice::from_ref(value))?;
        let Values::Placed(places, _) = &mut self.column.values else { return Err(misfit()) };
        places.push(u32::try_from(number).map_err(|_| misfit())?);
        Ok(())
    }

    fn finish(mut self) -> Arc<Column> {
        if let (Some(table), Values::Placed(places, values)) =
            (&self.places, &mut self.column.values)
        {
            let all = (0..table.len()).flat_map(|number| table.row(number)).cloned();
            *values = Arc::new(all.collect());
            let nulls: Vec<bool> = places.iter().map(|it| values[place(*it)].is_null()).collect();
            self.column.nulls = nulls.contains(&true).then_some(nulls);
        }
        Arc::new(self.column)
    }
}

impl Gathering {
    /// Takes in a row, if it can have partners; false if the memory does not hold it.
    fn push(&mut self, keys: &[Datum], row: &[Datum]) -> Result<bool> {
        /// What a row takes beside its values: keys, and its place among others.
        const ROW_BYTES: usize = 96;
        if keys.iter().any(Datum::is_null)
            || !self.keys.iter().zip(keys).all(|(c, key)| fits(c, key))
        {
            return Ok(true);
        }
        if !self.memory.try_share(bytes_of(row) + ROW_BYTES) {
            return Ok(false);
        }
        for (column, key) in self.keys.iter_mut().zip(keys) {
            if !column.push(key) {
                return Err(SqlError::internal("a key does not fit its column"));
            }
        }
        self.rows += 1;
        self.columns.iter_mut().zip(row).try_for_each(|(column, value)| column.push(value))?;
        Ok(true)
    }
}

/// Whether a value can be one of a column's.
fn fits(column: &Column, value: &Datum) -> bool {
    match (column.kind, value) {
        // A longer text is none that a left row has.
        (ColumnKind::Code, Datum::Text(text)) => {
            text.len() <= CODE_BYTES_MAX && !text.contains('\0')
        }
        _ => true,
    }
}

impl Join {
    /// Reads the right side; none if the memory does not hold it.
    fn gather(&mut self, env: &Env<'_>) -> Result<Option<Gathering>> {
        let right = self.wanted.iter().skip(self.left_width);
        let columns = self.columns.iter().zip(right);
        let columns = columns.map(|(of, wanted)| Gathered::new(*of, *wanted, env.statement));
        let mut gathering = Gathering {
            keys: self.keys.kinds.iter().map(|kind| Column::with_capacity(*kind, 0)).collect(),
            columns: columns.collect(),
            rows: 0,
            memory: env.statement.reservation(),
        };
        self.right.rewind();
        let mut keys = Vec::with_capacity(self.right_keys.len());
        while let Some(batch) = self.right.next(env.wanting_all())? {
            env.check()?;
            for row in batch.iter() {
                keys.clear();
                eval_all(&self.right_keys, row, env, &mut keys)?;
                if !gathering.push(&keys, row)? {
                    return Ok(None);
                }
            }
        }
        Ok((gathering.rows < place(NO_ROW)).then_some(gathering))
    }

    fn open_keys<const K: usize>(
        &mut self,
        left: Arc<dyn Source>,
        env: &Env<'_>,
    ) -> Result<Option<Arc<dyn Source>>> {
        let Some(gathering) = self.gather(env)? else { return Ok(None) };
        let Gathering { keys, columns, rows, memory } = gathering;
        let mut groups = Groups::<K>::new(self.keys.right.clone());
        let keys: Vec<Arc<Column>> = keys.into_iter().map(Arc::new).collect();
        let rows: Vec<u32> = (0..u32::try_from(rows).unwrap_or(NO_ROW)).collect();
        let mut numbers = Vec::new();
        groups.find(&keys, 0, &rows, &mut numbers)?;
        let mut first = vec![NO_ROW; groups.len()];
        let mut partners = vec![0_usize; groups.len()];
        let mut next = vec![NO_ROW; numbers.len()];
        // From the last on, so that each leads to the one after it.
        for (row, group) in rows.iter().zip(&numbers).rev() {
            next[place(*row)] = std::mem::replace(&mut first[place(*group)], *row);
            partners[place(*group)] += 1;
        }
        let most = partners.into_iter().max().unwrap_or(0);
        if most > PARTNERS_MAX && !matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
            return Ok(None);
        }
        Ok(Some(Arc::new(JoinSource {
            left,
            left_width: self.left_width,
            kind: self.kind,
            keys: self.keys.clone(),
            groups,
            first,
            next,
            unique: most <= 1,
            columns: columns.into_iter().map(Gathered::finish).collect(),
            wanted: self.wanted.clone(),
            memory,
        })))
    }
}

impl Stage for Join {
    fn narrow(&mut self, columns: &[bool]) {
        self.wanted = columns.to_vec();
        let own = (0..self.left_width).filter(|column| columns[*column]);
        self.left.narrow(&wanted(own.chain(self.keys.left.columns()), self.left_width));
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(left) = self.left.open(ordered, env)? else { return Ok(None) };
        match self.keys.left.words() {
            0 | 1 => self.open_keys::<1>(left, env),
            2 => self.open_keys::<2>(left, env),
            3 => self.open_keys::<3>(left, env),
            _ => self.open_keys::<4>(left, env),
        }
    }
}

impl<const K: usize> JoinSource<K> {
    /// The first right row of each left row of a chunk that counts; none for what has no partner.
    fn partners(&self, chunk: &Chunk) -> Vec<u32> {
        let groups = self.groups.look_up(&self.keys.left, &chunk.columns, &chunk.rows);
        let first = |group: u32| if group == NO_ROW { NO_ROW } else { self.first[place(group)] };
        let mut partners: Vec<u32> = groups.into_iter().map(first).collect();
        for column in self.keys.left.columns() {
            let Some(nulls) = &chunk.columns[column].nulls else { continue };
            for (partner, row) in partners.iter_mut().zip(&chunk.rows) {
                if nulls[place(*row)] {
                    *partner = NO_ROW;
                }
            }
        }
        partners
    }

    fn right(&self, column: usize, rows: &[u32]) -> Arc<Column> {
        let of = &self.columns[column];
        if self.wanted[self.left_width + column] {
            Arc::new(of.select_or_null(rows))
        } else {
            unwanted(of.kind)
        }
    }

    /// Each row with its only partner: the columns stay where they are.
    fn join_one(&self, chunk: &mut Chunk, partners: &[u32]) {
        let inner = self.kind == JoinKind::Inner;
        let length = chunk.rows.last().map_or(0, |last| place(*last) + 1);
        let mut beside = vec![NO_ROW; length];
        for (row, partner) in chunk.rows.iter().zip(partners) {
            beside[place(*row)] = *partner;
        }
        if inner {
            chunk.rows.retain(|row| beside[place(*row)] != NO_ROW);
        }
        chunk.columns.truncate(self.left_width);
        for column in 0..self.columns.len() {
            chunk.columns.push(self.right(column, &beside));
        }
    }

    /// Each row with all of its partners.
    fn join_all(&self, chunk: &mut Chunk, partners: &[u32]) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (row, partner) in chunk.rows.iter().zip(partners) {
            let mut partner = *partner;
            if partner == NO_ROW && self.kind == JoinKind::Left {
                left.push(*row);
                right.push(NO_ROW);
            }
            while partner != NO_ROW {
                left.push(*row);
                right.push(partner);
                partner = self.next[place(partner)];
            }
        }
        chunk.columns.truncate(self.left_width);
        for (column, wanted) in chunk.columns.iter_mut().zip(&self.wanted) {
            *column = if *wanted { Arc::new(column.select(&left)) } else { unwanted(column.kind) };
        }
        for column in 0..self.columns.len() {
            chunk.columns.push(self.right(column, &right));
        }
        let rows = u32::try_from(left.len()).expect("a chunk has few rows, with few partners each");
        chunk.rows = (0..rows).collect();
    }
}

impl<const K: usize> Source for JoinSource<K> {
    fn pieces(&self) -> VecDeque<Piece> {
        self.left.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let (mut chunk, left) = self.left.read(piece, env)?;
        let partners = self.partners(&chunk);
        match self.kind {
            JoinKind::Semi | JoinKind::Anti => {
                let kept = |partner: u32| (partner != NO_ROW) == (self.kind == JoinKind::Semi);
                let mut partners = partners.into_iter();
                chunk.rows.retain(|_| partners.next().is_some_and(kept));
            }
            _ if self.unique => self.join_one(&mut chunk, &partners),
            _ => self.join_all(&mut chunk, &partners),
        }
        Ok((chunk, left))
    }

    fn rows(&self) -> u64 {
        self.left.rows()
    }
}
