//! Groups and aggregates, by hashing; several grouping sets in one pass.
//!
//! Rows of groups that are new when the memory is full are put into parts on disk, for each grouping set by itself;
//! each part is aggregated at the end. What one group gathers stays in memory.

mod state;

use std::collections::BTreeSet;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::hash_row;
use crate::exec::memory::Reservation;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::exec::spill::{Part, Parts, can_spill};
use crate::plan::{AggregateCall, Expr, Plan};
use crate::types::Datum;

pub(crate) use state::{Aggregated, State};

struct Aggregate {
    input: BoxOperator,
    group: Vec<Compiled>,
    sets: Vec<GroupingSet>,
    calls: Vec<Aggregated>,
    /// Whether the number of the grouping set is put out.
    numbered: bool,
    memory: Reservation,
    input_width: usize,
    /// The part that is read instead of the input, and the set it is of.
    part: Option<(usize, Part)>,
    /// Parts to be read yet, the next one last.
    waiting: Vec<(usize, Part)>,
    /// The set and the group that come out next, once the input has been read.
    output: Option<(usize, usize)>,
}

struct GroupingSet {
    /// Which group expressions do not count in this set, and are null.
    absent: Vec<usize>,
    /// Whether it is one group of all rows, which is there even without rows.
    total: bool,
    keys: RowTable,
    /// The states of each group's aggregates, group after group.
    states: Vec<State>,
    /// Rows of groups that the memory does not hold.
    aside: Option<Parts>,
}

/// Builds an aggregation.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    group: &[Expr],
    grouping_sets: &[Vec<usize>],
    aggregates: &[AggregateCall],
) -> Result<BoxOperator> {
    let input_width = input.columns.len();
    let input = builder.operator(input)?;
    let compiled = builder.expressions(group)?;
    let calls =
        aggregates.iter().map(|call| Aggregated::new(builder, call)).collect::<Result<_>>()?;
    let sets = grouping_sets.iter().map(|set| {
        let present: BTreeSet<usize> = set.iter().copied().collect();
        GroupingSet {
            absent: (0..group.len()).filter(|place| !present.contains(place)).collect(),
            total: set.is_empty(),
            keys: RowTable::new(group.len(), builder.statement()),
            states: Vec::new(),
            aside: None,
        }
    });
    let sets = sets.collect();
    let memory = builder.statement().reservation();
    let numbered = grouping_sets.len() > 1;
    Ok(Box::new(Aggregate {
        input,
        group: compiled,
        sets,
        calls,
        numbered,
        memory,
        input_width,
        part: None,
        waiting: Vec::new(),
        output: None,
    }))
}

impl GroupingSet {
    /// The number of a row's group, made if it is new; none if the memory does not hold it and the row `spills`.
    fn group(
        &mut self,
        key: &[Datum],
        calls: &[Aggregated],
        memory: &mut Reservation,
        spills: bool,
    ) -> Result<Option<usize>> {
        if self.total && self.keys.len() > 0 {
            return Ok(Some(0));
        }
        let own;
        let key = if self.absent.is_empty() {
            key
        } else {
            own = self.own_key(key);
            &own
        };
        if let Some(number) = self.keys.find(key) {
            return Ok(Some(number));
        }
        let bytes = calls.len() * (size_of::<State>() + state::STATE_BYTES);
        if !spills {
            memory.grow(bytes)?;
        } else if !memory.try_share(bytes) {
            if self.keys.len() > 0 {
                return Ok(None);
            }
            memory.take(bytes);
        }
        let placed = if spills { self.keys.try_insert(key)? } else { Some(self.keys.insert(key)?) };
        let Some((number, _)) = placed else { return Ok(None) };
        self.states.extend(calls.iter().map(Aggregated::state));
        Ok(Some(number))
    }

    fn own_key(&self, key: &[Datum]) -> Vec<Datum> {
        let mut key = key.to_vec();
        for absent in &self.absent {
            key[*absent] = Datum::Null;
        }
        key
    }

    fn put_aside(
        &mut self,
        key: &[Datum],
        row: &[Datum],
        depth: usize,
        env: &Env<'_>,
    ) -> Result<()> {
        let hash = hash_row(&self.own_key(key));
        self.aside.get_or_insert_with(|| Parts::new(row.len(), depth)).push(hash, row, env)
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.states.clear();
    }
}

impl Aggregate {
    fn read(&mut self, env: &Env<'_>) -> Result<()> {
        let env = env.wanting_all();
        let mut key = Vec::with_capacity(self.group.len());
        let depth = self.part.as_ref().map_or(0, |(_, part)| part.depth);
        let spills = can_spill(&env, depth);
        let only = self.part.as_ref().map(|(set, _)| *set);
        loop {
            let batch = match &mut self.part {
                Some((_, part)) => part.reader.next(&env)?,
                None => self.input.next(env)?,
            };
            let Some(batch) = batch else { break };
            debug_assert_eq!(batch.width, self.input_width, "parts hold input rows");
            env.check()?;
            for row in batch.iter() {
                key.clear();
                eval_all(&self.group, row, &env, &mut key)?;
                for (number, set) in self.sets.iter_mut().enumerate() {
                    if only.is_some_and(|only| only != number) {
                        continue;
                    }
                    let found = set.group(&key, &self.calls, &mut self.memory, spills)?;
                    let Some(group) = found else {
                        set.put_aside(&key, row, depth, &env)?;
                        continue;
                    };
                    let states =
                        &mut set.states[group * self.calls.len()..(group + 1) * self.calls.len()];
                    for (call, state) in self.calls.iter().zip(states) {
                        call.add(state, row, &env, &mut self.memory)?;
                    }
                }
            }
        }
        // A set that groups by nothing has a group even when there are no rows.
        let nulls = vec![Datum::Null; self.group.len()];
        if only.is_none() {
            for set in self.sets.iter_mut().filter(|set| set.total && set.keys.len() == 0) {
                set.group(&nulls, &self.calls, &mut self.memory, false)?;
            }
        }
        Ok(())
    }

    /// Goes on with the next part; false after the last.
    fn advance(&mut self) -> Result<bool> {
        for (number, set) in self.sets.iter_mut().enumerate() {
            let Some(aside) = set.aside.take() else { continue };
            let parts = aside.finish()?.into_iter().rev().flatten();
            self.waiting.extend(parts.map(|part| (number, part)));
        }
        self.part = self.waiting.pop();
        if self.part.is_none() {
            return Ok(false);
        }
        self.sets.iter_mut().for_each(GroupingSet::clear);
        self.memory.clear();
        Ok(true)
    }

    /// Puts out groups until the output is full or there are no more.
    fn put(&mut self, output: &mut Output, env: &Env<'_>) -> Result<()> {
        let Some((number, group)) = &mut self.output else { return Ok(()) };
        while !output.is_full()
            && let Some(set) = self.sets.get_mut(*number)
        {
            if *group == set.keys.len() {
                *number += 1;
                *group = 0;
                continue;
            }
            output.values().extend_from_slice(set.keys.row(*group));
            for (place, call) in self.calls.iter().enumerate() {
                let value = call.value(&mut set.states[*group * self.calls.len() + place], env)?;
                output.values().push(value);
            }
            if self.numbered {
                output.values().push(Datum::Int4(i32::try_from(*number).unwrap_or(i32::MAX)));
            }
            output.finish_row();
            *group += 1;
        }
        Ok(())
    }
}

impl Operator for Aggregate {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        loop {
            if self.output.is_none() {
                self.read(&env)?;
                self.output = Some((0, 0));
            }
            let width = self.group.len() + self.calls.len() + usize::from(self.numbered);
            let mut output = Output::new(width, &env);
            self.put(&mut output, &env)?;
            if let Some(batch) = output.finish() {
                return Ok(Some(batch));
            }
            if !self.advance()? {
                return Ok(None);
            }
            self.output = None;
        }
    }

    fn rewind(&mut self) {
        self.input.rewind();
        for set in &mut self.sets {
            set.clear();
            set.aside = None;
        }
        self.part = None;
        self.waiting.clear();
        self.memory.clear();
        self.output = None;
    }
}
