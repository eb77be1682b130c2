//! Groups and aggregates, gathered by all readers at once.
//!
//! Each reader takes chunks, finds the groups of their rows and feeds the aggregates; at the end the groups of all are
//! put together. Many groups would miss the processor's caches with each row: a reader that has found so many lays them
//! aside in parts by their keys' hash and begins anew, and at the end the readers put the parts together, each of which
//! fits into the caches.

use std::collections::VecDeque;
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::column::{Column, ColumnKind, Piece};
use crate::error::{Result, SqlError};
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::memory::Reservation;
use crate::plan::{AggregateCall, Expr, Plan};

use super::computed::Expressions;
use super::filter::{Filter, place};
use super::flow::{
    Chunk, Flow, FlowColumn, Pieces, Source, Stage, numbered, numbers, readers_for, unwanted,
    wanted,
};
use super::groups::{Groups, KeyShape, Seen};
use super::states::{Plain, States};

/// The groups that a reader finds before it lays them aside, if it can: what its tables take then fits into the caches.
const GROUPS_MAX: usize = 1 << 14;

/// The parts in which groups are laid aside, as a power of two.
const PARTS: u32 = 64;

struct Aggregation {
    input: Box<dyn Stage>,
    work: Work,
    columns: Vec<FlowColumn>,
    wanted: Vec<bool>,
}

/// What is to be gathered.
#[derive(Clone)]
struct Work {
    shape: KeyShape,
    /// Whether all rows are one group, which is there even without rows.
    total: bool,
    calls: Vec<Plain>,
    /// The groups after which a reader lays them aside; none if it cannot.
    groups_max: Option<usize>,
}

/// Groups with their aggregates: those of one reader, of a part, or of all.
struct Partial<const K: usize> {
    groups: Groups<K>,
    total: bool,
    states: Vec<States>,
    numbers: Vec<u32>,
}

/// What one reader has gathered: what it found last, and what it has laid aside.
struct Gathered<const K: usize> {
    partial: Partial<K>,
    parts: Vec<Partial<K>>,
    memory: Reservation,
}

/// Groups as rows.
struct AggregateSource<const K: usize> {
    parts: Vec<Partial<K>>,
    /// The part and the number of each group, in the order in which they come out.
    order: Vec<(u32, u32)>,
    columns: Vec<FlowColumn>,
    wanted: Vec<bool>,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    memory: Vec<Reservation>,
}

/// The flow of an aggregation with one grouping set.
pub(super) fn stage(
    builder: &mut Builder<'_>,
    input: &Plan,
    group: &[Expr],
    aggregates: &[AggregateCall],
) -> Result<Option<Flow>> {
    let Some(input) = Flow::input(builder, input)? else { return Ok(None) };
    let mut computed = Expressions::default();
    let keys = group.iter().map(|expression| computed.column(expression, &input.columns));
    let Some(keys) = keys.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(shape) = KeyShape::of(&keys) else { return Ok(None) };
    let calls = aggregates.iter().map(|call| Plain::of(call, &input.columns, &mut computed));
    let Some(mut calls) = calls.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let mut input = input.computed(builder, computed)?;
    for (call, of) in calls.iter_mut().zip(aggregates) {
        let Some(condition) = &of.filter else { continue };
        let filter = Filter::compile(builder, Some(condition), input.columns.len())?;
        let Some(filter) = filter else { return Ok(None) };
        call.set_filter(filter);
    }
    let looked_at = shape.columns().chain(calls.iter().flat_map(Plain::columns));
    input.stage.narrow(&wanted(looked_at, input.columns.len()));
    let keys = keys.iter().map(|(_, column)| match column.kind {
        // Its values come out one by one.
        ColumnKind::Dictionary => FlowColumn { kind: ColumnKind::Any, ..*column },
        _ => *column,
    });
    let columns: Vec<FlowColumn> = keys.chain(calls.iter().map(Plain::result)).collect();
    let groups_max = calls.iter().all(Plain::can_be_cut).then_some(GROUPS_MAX);
    let work = Work { shape, total: group.is_empty(), calls, groups_max };
    let (wanted, input) = (vec![true; columns.len()], input.stage);
    let stage = Aggregation { input, work, columns: columns.clone(), wanted };
    Ok(Some(Flow { columns, stage: Box::new(stage) }))
}

impl<const K: usize> Partial<K> {
    fn new(work: &Work) -> Self {
        let total = work.total;
        let mut states: Vec<States> = work.calls.iter().map(|it| States::new(it.clone())).collect();
        if total {
            for states in &mut states {
                states.grow(1);
            }
        }
        Self { groups: Groups::new(work.shape.clone()), total, states, numbers: Vec::new() }
    }

    fn len(&self) -> usize {
        if self.total { 1 } else { self.groups.len() }
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.states.iter().map(States::bytes).sum::<usize>()
    }

    /// Takes in the rows of a chunk.
    fn add(&mut self, chunk: &Chunk, env: &Env<'_>) -> Result<()> {
        let (columns, rows) = (&chunk.columns, &chunk.rows);
        let groups = if self.total {
            None
        } else {
            self.groups.find(columns, chunk.place, rows, &mut self.numbers)?;
            let count = self.groups.len();
            self.states.iter_mut().for_each(|states| states.grow(count));
            Some(&*self.numbers)
        };
        self.states.iter_mut().try_for_each(|states| states.add(columns, rows, groups, env))
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let numbers = if self.total { vec![0] } else { self.groups.merge(&other.groups)? };
        let count = self.groups.len();
        for (own, other) in self.states.iter_mut().zip(&other.states) {
            if !self.total {
                own.grow(count);
            }
            own.merge(other, &numbers);
        }
        Ok(())
    }

    /// Appends the groups to their parts.
    fn lay_aside(&self, parts: &mut [Self]) {
        let mut numbers = vec![Vec::new(); parts.len()];
        let count = u32::try_from(self.groups.len()).expect("groups are numbered so");
        for number in 0..count {
            numbers[place(self.groups.part(number, PARTS))].push(number);
        }
        for (part, numbers) in parts.iter_mut().zip(&numbers) {
            part.groups.append(&self.groups, numbers);
            for (own, other) in part.states.iter_mut().zip(&self.states) {
                own.append(other, numbers);
            }
        }
    }

    fn seen(&self, number: u32) -> Seen {
        if self.total { (0, 0) } else { self.groups.seen(number) }
    }
}

impl<const K: usize> Gathered<K> {
    /// What one reader does; none if the memory does not hold the groups.
    fn read(work: &Work, pieces: &Pieces<'_>, env: &Env<'_>) -> Result<Option<Self>> {
        let memory = env.statement.reservation();
        let mut gathered = Self { partial: Partial::new(work), parts: Vec::new(), memory };
        let (mut aside, mut held) = (0, 0);
        while let Some(chunk) = pieces.next(env)? {
            gathered.partial.add(&chunk, env)?;
            let bytes = aside + gathered.partial.bytes();
            if !gathered.memory.try_share(bytes.saturating_sub(held)) {
                pieces.stop();
                return Ok(None);
            }
            held = held.max(bytes);
            if work.groups_max.is_some_and(|groups| gathered.partial.len() >= groups) {
                gathered.lay_aside(work);
                aside = gathered.parts.iter().map(Partial::bytes).sum();
            }
        }
        Ok(Some(gathered))
    }

    fn lay_aside(&mut self, work: &Work) {
        if self.parts.is_empty() {
            self.parts.extend((0..PARTS).map(|_| Partial::new(work)));
        }
        self.partial.lay_aside(&mut self.parts);
        self.partial.groups.clear();
        self.partial.states.iter_mut().for_each(States::clear);
    }
}

/// What all readers have gathered, put together, in parts that have no group in common.
fn put_together<const K: usize>(
    work: &Work,
    rows: u64,
    gathered: &mut [Gathered<K>],
) -> Result<Vec<Partial<K>>> {
    if gathered.iter().all(|it| it.parts.is_empty()) {
        let mut partials = gathered.iter_mut().map(|it| {
            // What is left has no groups.
            std::mem::replace(&mut it.partial, Partial::new(work))
        });
        let Some(mut all) = partials.next() else {
            return Err(SqlError::internal("nobody has read the rows"));
        };
        partials.try_for_each(|partial| all.merge(&partial))?;
        return Ok(vec![all]);
    }
    for reader in &mut *gathered {
        reader.lay_aside(work);
    }
    let gathered = &*gathered;
    let part = |part: u32| {
        let of_part = || gathered.iter().map(|it| &it.parts[place(part)]);
        let mut whole = Partial::new(work);
        whole.groups.reserve(of_part().map(Partial::len).sum());
        of_part().try_for_each(|of_reader| whole.merge(of_reader))?;
        Ok(whole)
    };
    match readers_for(rows) {
        None => (0..PARTS).map(part).collect(),
        Some(pool) => pool.install(|| (0..PARTS).into_par_iter().map(part).collect()),
    }
}

impl Aggregation {
    fn gather<const K: usize>(
        &self,
        source: &dyn Source,
        ordered: bool,
        env: &Env<'_>,
    ) -> Result<Option<Arc<dyn Source>>> {
        let (work, pieces) = (&self.work, Pieces::of(source));
        let read = || Gathered::<K>::read(work, &pieces, env);
        let gathered: Option<Vec<Gathered<K>>> = pieces.read_by_all(read)?.into_iter().collect();
        let Some(mut gathered) = gathered else { return Ok(None) };
        let parts = put_together(work, source.rows(), &mut gathered)?;
        let mut order = Vec::with_capacity(parts.iter().map(Partial::len).sum());
        for (part, groups) in (0..).zip(&parts) {
            let count = u32::try_from(groups.len()).expect("groups are numbered so");
            order.extend((0..count).map(|number| (part, number)));
        }
        if ordered {
            let seen = |(part, number): &(u32, u32)| parts[place(*part)].seen(*number);
            // Long runs are in order already: those of each reader.
            order.sort_by_cached_key(seen);
        }
        let memory = gathered.into_iter().map(|it| it.memory).collect();
        let (columns, wanted) = (self.columns.clone(), self.wanted.clone());
        Ok(Some(Arc::new(AggregateSource { parts, order, columns, wanted, memory })))
    }
}

impl Stage for Aggregation {
    fn narrow(&mut self, wanted: &[bool]) {
        self.wanted = wanted.to_vec();
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(source) = self.input.open(ordered && !self.work.total, env)? else {
            return Ok(None);
        };
        match self.work.shape.words() {
            0 | 1 => self.gather::<1>(&*source, ordered, env),
            2 => self.gather::<2>(&*source, ordered, env),
            3 => self.gather::<3>(&*source, ordered, env),
            _ => self.gather::<4>(&*source, ordered, env),
        }
    }
}

impl<const K: usize> AggregateSource<K> {
    fn column(&self, column: usize, groups: &[(u32, u32)]) -> Result<Arc<Column>> {
        let kind = self.columns[column].kind;
        if !self.wanted[column] {
            return Ok(unwanted(kind));
        }
        let keys = self.columns.len() - self.parts.first().map_or(0, |part| part.states.len());
        let mut values = Column::with_capacity(kind, groups.len());
        for (part, number) in groups {
            let part = &self.parts[place(*part)];
            let value = match column.checked_sub(keys) {
                None => part.groups.value(*number, column),
                Some(call) => part.states[call].value(*number)?,
            };
            if !values.push(&value) {
                return Err(SqlError::internal("a group does not fit its column"));
            }
        }
        Ok(Arc::new(values))
    }
}

impl<const K: usize> Source for AggregateSource<K> {
    fn pieces(&self) -> VecDeque<Piece> {
        numbered(self.order.len())
    }

    fn read(&self, piece: Piece, _: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let groups = &self.order[numbers(piece)];
        let columns = (0..self.columns.len()).map(|column| self.column(column, groups));
        let columns = columns.collect::<Result<_>>()?;
        let rows = u32::try_from(groups.len()).expect("a piece has fewer rows");
        Ok((Chunk { place: 0, keys: None, columns, rows: (0..rows).collect() }, None))
    }

    fn rows(&self) -> u64 {
        u64::try_from(self.order.len()).unwrap_or(u64::MAX)
    }
}
