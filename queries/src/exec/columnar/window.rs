//! Windows that look at neighbours (`lag`, `lead`, `row_number`).
//!
//! All rows are gathered by all readers at once, as far as anything looks at their columns, and put in order
//! ([`super::partitions`]). What comes out is picked from the gathered columns when it is read.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::column::{Column, ColumnKind, NO_ROW, Piece, Values};
use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::memory::Reservation;
use crate::plan::{Expr, Plan, WindowCall, WindowCallee};
use crate::types::functions::WindowKind;

use super::filter::place;
use super::flow::{
    Chunk, Flow, FlowColumn, Pieces, Source, Stage, numbered, numbers, unwanted, wanted,
};
use super::keys::KeyColumn;
use super::partitions::{Order, Ordered};

/// What is asked of a row's partition.
#[derive(Clone, Copy, Debug)]
enum Neighbour {
    /// The value of a column in the row before.
    Before(usize),
    /// The value of a column in the row after.
    After(usize),
    /// The number of the row, from 1.
    Number,
}

struct Window {
    input: Box<dyn Stage>,
    /// Those of the input.
    columns: Vec<FlowColumn>,
    order: Order,
    calls: Vec<Neighbour>,
    /// The columns that are wanted of the input's and of the calls.
    wanted: Vec<bool>,
}

struct WindowSource {
    gathered: Gathered,
    ordered: Ordered,
    calls: Vec<Neighbour>,
    wanted: Vec<bool>,
}

/// Columns of all rows.
struct Gathered {
    columns: Vec<Arc<Column>>,
    rows: usize,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    memory: Vec<Reservation>,
}

/// The flow of windows that all have one partition and order.
pub(super) fn stage(
    builder: &mut Builder<'_>,
    input: &Plan,
    calls: &[WindowCall],
) -> Result<Option<Flow>> {
    let Some(input) = Flow::input(builder, input)? else { return Ok(None) };
    let Some(order) = order(calls, &input.columns) else { return Ok(None) };
    let neighbours = calls.iter().map(Neighbour::of).collect::<Option<Vec<_>>>();
    let Some(calls) = neighbours else { return Ok(None) };
    let mut columns = input.columns.clone();
    for call in &calls {
        columns.push(match call {
            Neighbour::Before(column) | Neighbour::After(column) => {
                let Some(column) = input.columns.get(*column) else { return Ok(None) };
                FlowColumn { nullable: true, ..*column }
            }
            Neighbour::Number => FlowColumn { kind: ColumnKind::Int8, nullable: false },
        });
    }
    let wanted = vec![true; columns.len()];
    let stage = Window { input: input.stage, columns: input.columns, order, calls, wanted };
    Ok(Some(Flow { columns, stage: Box::new(stage) }))
}

/// The order of all calls; none if they differ in it, it is no plain columns, or too long.
fn order(calls: &[WindowCall], columns: &[FlowColumn]) -> Option<Order> {
    let (first, others) = calls.split_first()?;
    let name = |call: &WindowCall| format!("{:?} {:?}", call.partition, call.order);
    if others.iter().any(|call| name(call) != name(first)) {
        return None;
    }
    let partition = first.partition.iter().map(|it| KeyColumn::of(it, None, columns));
    let order = first.order.iter().map(|it| KeyColumn::of(&it.expression, Some(it), columns));
    Order::new(columns, partition.collect::<Option<_>>()?, order.collect::<Option<_>>()?)
}

impl Neighbour {
    fn of(call: &WindowCall) -> Option<Self> {
        let WindowCallee::Window(function) = call.function else { return None };
        match (function.kind, &*call.arguments) {
            _ if call.filter.is_some() => None,
            (WindowKind::Lag, [Expr::Column(column, _)]) => Some(Self::Before(*column)),
            (WindowKind::Lead, [Expr::Column(column, _)]) => Some(Self::After(*column)),
            (WindowKind::RowNumber, []) => Some(Self::Number),
            _ => None,
        }
    }

    fn column(self) -> Option<usize> {
        match self {
            Self::Before(column) | Self::After(column) => Some(column),
            Self::Number => None,
        }
    }
}

impl Window {
    /// The columns of the input that anything looks at.
    fn needed(&self) -> Vec<bool> {
        let width = self.columns.len();
        let (own, calls) = self.wanted.split_at(width);
        let calls = self.calls.iter().zip(calls).filter(|(_, wanted)| **wanted);
        let calls = calls.filter_map(|(call, _)| call.column());
        let own = (0..width).filter(|column| own[*column]);
        wanted(own.chain(calls).chain(self.order.columns()), width)
    }
}

impl Stage for Window {
    fn narrow(&mut self, wanted: &[bool]) {
        self.wanted = wanted.to_vec();
        self.input.narrow(&self.needed());
    }

    fn open(&mut self, _: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        // What is equal in all keys stays in the order in which it comes.
        let Some(input) = self.input.open(true, env)? else { return Ok(None) };
        let gathered = Gathered::read(&*input, &self.columns, &self.needed(), env)?;
        let Some(gathered) = gathered else { return Ok(None) };
        if u32::try_from(gathered.rows).is_err() {
            return Ok(None);
        }
        env.check()?;
        let mut memory = env.statement.reservation();
        let ordered = self.order.sort(&gathered.columns, gathered.rows, &mut memory)?;
        let Some(ordered) = ordered else { return Ok(None) };
        let (calls, wanted) = (self.calls.clone(), self.wanted.clone());
        Ok(Some(Arc::new(WindowSource { gathered, ordered, calls, wanted })))
    }
}

impl Gathered {
    /// All rows of a source, in order; none if the memory does not hold them.
    fn read(
        source: &dyn Source,
        columns: &[FlowColumn],
        needed: &[bool],
        env: &Env<'_>,
    ) -> Result<Option<Self>> {
        let pieces = Pieces::of(source);
        let read = || Self::read_pieces(&pieces, needed, env);
        let mut parts = Vec::new();
        let mut memory = Vec::new();
        for part in pieces.read_by_all(read)? {
            let Some((mut part, share)) = part else { return Ok(None) };
            parts.append(&mut part);
            memory.push(share);
        }
        parts.sort_by_key(|chunk: &Chunk| chunk.place);
        let rows = parts.iter().map(|chunk| chunk.rows.len()).sum();
        let mut column = |(place, column): (usize, &FlowColumn)| {
            if !needed[place] {
                return unwanted(column.kind);
            }
            let mut values = Column::with_capacity(column.kind, rows);
            for chunk in &mut parts {
                // Each column is held twice only while it is put together.
                let part = std::mem::replace(&mut chunk.columns[place], unwanted(column.kind));
                values.append(&part);
            }
            Arc::new(values)
        };
        let columns = columns.iter().enumerate().map(&mut column).collect();
        Ok(Some(Self { columns, rows, memory }))
    }

    /// What one reader reads, with the columns that are needed of the rows that count.
    fn read_pieces(
        pieces: &Pieces<'_>,
        needed: &[bool],
        env: &Env<'_>,
    ) -> Result<Option<(Vec<Chunk>, Reservation)>> {
        let mut read = Vec::new();
        let mut memory = env.statement.reservation();
        while let Some(mut chunk) = pieces.next(env)? {
            let mut bytes = 0;
            for (column, needed) in chunk.columns.iter_mut().zip(needed) {
                if !needed {
                    continue;
                }
                if chunk.rows.len() < column.len() {
                    *column = Arc::new(column.select(&chunk.rows));
                }
                bytes += column.bytes();
            }
            // One column at a time is put together while all are held in chunks.
            if !memory.try_share(bytes + bytes / 2) {
                pieces.stop();
                return Ok(None);
            }
            read.push(chunk);
        }
        Ok(Some((read, memory)))
    }
}

impl WindowSource {
    /// The rows before or after some places, within their partitions.
    fn neighbours(&self, places: std::ops::Range<usize>, after: bool) -> Vec<u32> {
        let (rows, starts) = (&self.ordered.rows, &self.ordered.starts);
        let bound = |at: usize| starts.partition_point(|start| place(*start) <= at);
        // The next partition's number, and where it begins.
        let mut next = bound(places.start);
        let mut neighbours = Vec::with_capacity(places.len());
        for at in places {
            while starts.get(next).is_some_and(|start| place(*start) <= at) {
                next += 1;
            }
            let (from, to) = (starts[next - 1], starts.get(next));
            let to = to.map_or(rows.len(), |to| place(*to));
            let neighbour = if after {
                (at + 1 < to).then(|| rows[at + 1])
            } else {
                (at > place(from)).then(|| rows[at - 1])
            };
            neighbours.push(neighbour.unwrap_or(NO_ROW));
        }
        neighbours
    }

    /// The numbers of some places in their partitions, from 1.
    fn numbers(&self, places: std::ops::Range<usize>) -> Column {
        let starts = &self.ordered.starts;
        let mut next = starts.partition_point(|start| place(*start) <= places.start);
        let mut values = Vec::with_capacity(places.len());
        for at in places {
            while starts.get(next).is_some_and(|start| place(*start) <= at) {
                next += 1;
            }
            values.push(i64::try_from(at + 1 - place(starts[next - 1])).unwrap_or(i64::MAX));
        }
        Column { kind: ColumnKind::Int8, values: Values::Int8(values), nulls: None }
    }
}

impl Source for WindowSource {
    fn pieces(&self) -> VecDeque<Piece> {
        numbered(self.gathered.rows)
    }

    fn read(&self, piece: Piece, _: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let places = numbers(piece);
        let rows = &self.ordered.rows[places.clone()];
        let of = &self.gathered.columns;
        let mut columns = Vec::with_capacity(self.wanted.len());
        for (column, wanted) in of.iter().zip(&self.wanted) {
            columns.push(match wanted {
                true => Arc::new(column.select(rows)),
                false => unwanted(column.kind),
            });
        }
        let (mut before, mut after) = (None, None);
        for (call, wanted) in self.calls.iter().zip(&self.wanted[of.len()..]) {
            columns.push(match call {
                Neighbour::Number if *wanted => Arc::new(self.numbers(places.clone())),
                Neighbour::Number => unwanted(ColumnKind::Int8),
                Neighbour::Before(column) | Neighbour::After(column) if !*wanted => {
                    unwanted(of[*column].kind)
                }
                Neighbour::Before(column) => {
                    let rows = before.get_or_insert_with(|| self.neighbours(places.clone(), false));
                    Arc::new(of[*column].select_or_null(rows))
                }
                Neighbour::After(column) => {
                    let rows = after.get_or_insert_with(|| self.neighbours(places.clone(), true));
                    Arc::new(of[*column].select_or_null(rows))
                }
            });
        }
        let rows = u32::try_from(rows.len()).expect("a piece has fewer rows");
        Ok((Chunk { place: 0, keys: None, columns, rows: (0..rows).collect() }, None))
    }

    fn rows(&self) -> u64 {
        u64::try_from(self.gathered.rows).unwrap_or(u64::MAX)
    }
}
