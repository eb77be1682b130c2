//! Groups and aggregates, by hashing; several grouping sets in one pass.

mod state;

use std::collections::BTreeSet;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::memory::Reservation;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
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
}

/// Builds an aggregation.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    group: &[Expr],
    grouping_sets: &[Vec<usize>],
    aggregates: &[AggregateCall],
) -> Result<BoxOperator> {
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
        }
    });
    let sets = sets.collect();
    let memory = builder.statement().reservation();
    let numbered = grouping_sets.len() > 1;
    Ok(Box::new(Aggregate { input, group: compiled, sets, calls, numbered, memory, output: None }))
}

impl GroupingSet {
    /// The number of a row's group, made if it is new.
    fn group(
        &mut self,
        key: &[Datum],
        calls: &[Aggregated],
        memory: &mut Reservation,
    ) -> Result<usize> {
        if self.total && !self.states.is_empty() {
            return Ok(0);
        }
        let (number, new) = if self.absent.is_empty() {
            self.keys.insert(key)?
        } else {
            let mut key = key.to_vec();
            for absent in &self.absent {
                key[*absent] = Datum::Null;
            }
            self.keys.insert(&key)?
        };
        if new {
            for call in calls {
                memory.grow(size_of::<State>() + state::STATE_BYTES)?;
                self.states.push(call.state());
            }
        }
        Ok(number)
    }
}

impl Aggregate {
    fn read(&mut self, env: &Env<'_>) -> Result<()> {
        let env = env.wanting_all();
        let mut key = Vec::with_capacity(self.group.len());
        while let Some(batch) = self.input.next(env)? {
            env.check()?;
            for row in batch.iter() {
                key.clear();
                eval_all(&self.group, row, &env, &mut key)?;
                for set in &mut self.sets {
                    let group = set.group(&key, &self.calls, &mut self.memory)?;
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
        for set in self.sets.iter_mut().filter(|set| set.total && set.keys.len() == 0) {
            set.group(&nulls, &self.calls, &mut self.memory)?;
        }
        Ok(())
    }
}

impl Operator for Aggregate {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.output.is_none() {
            self.read(&env)?;
            self.output = Some((0, 0));
        }
        let Some((number, group)) = &mut self.output else { return Ok(None) };
        let mut output =
            Output::new(self.group.len() + self.calls.len() + usize::from(self.numbered), &env);
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
                let value = call.value(&mut set.states[*group * self.calls.len() + place], &env)?;
                output.values().push(value);
            }
            if self.numbered {
                output.values().push(Datum::Int4(i32::try_from(*number).unwrap_or(i32::MAX)));
            }
            output.finish_row();
            *group += 1;
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.input.rewind();
        for set in &mut self.sets {
            set.keys.clear();
            set.states.clear();
        }
        self.memory.clear();
        self.output = None;
    }
}
