//! Registers that clients write and read while a cluster is disturbed, and what has to hold of what they saw.
//!
//! Every write has a value of its own, so that it is known which write a read saw. Whether all reads and writes of a
//! register can be put into one order that agrees with real time is then decided by looking at the values one by one
//! (Gibbons and Korach, "Testing shared memories", 1997): the operations of a value take up a zone of time, zones in
//! which the value must have been current may not overlap, and no value may have come and gone within one of another.

use std::collections::{BTreeMap, BTreeSet};

/// What is written to registers.
pub type Value = u64;

/// The value of a register that nobody has written to.
pub const INITIAL: Value = 0;

/// When something was asked and answered, in nanoseconds since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it was asked.
    pub asked: u64,
    /// When it was answered; never, if nobody knows how it ended.
    pub answered: Option<u64>,
}

/// What was done to one register by reads that see everything acknowledged, and by writes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The writes that were acknowledged, or of which nobody knows.
    pub writes: BTreeMap<Value, Span>,
    /// The writes that were refused.
    pub refused: BTreeSet<Value>,
    /// What was read.
    pub reads: Vec<(Value, Span)>,
}

#[derive(Clone, Copy, Debug)]
struct Zone {
    value: Value,
    /// When the first operation of the value was answered, and the last one asked.
    first_answered: u64,
    last_asked: u64,
}

impl Zone {
    /// Whether the value must have been current from one to the other.
    fn is_forward(&self) -> bool {
        self.first_answered < self.last_asked
    }
}

impl History {
    /// Why reads and writes cannot be put in one order, if they cannot.
    pub fn check(&self) -> Result<(), String> {
        let zones = self.zones()?;
        let mut forward: Vec<Zone> = zones.iter().copied().filter(Zone::is_forward).collect();
        forward.sort_by_key(|zone| zone.first_answered);
        for pair in forward.windows(2) {
            if pair[1].first_answered < pair[0].last_asked {
                let [one, other] = [pair[0].value, pair[1].value];
                return Err(format!("{one} and {other} were current at once: {pair:?}"));
            }
        }
        for zone in zones.iter().filter(|zone| !zone.is_forward()) {
            let around = forward.iter().find(|it| {
                it.first_answered < zone.last_asked && zone.first_answered < it.last_asked
            });
            if let Some(around) = around {
                let (one, other) = (zone.value, around.value);
                let what = format!("{one} came and went while {other} was current");
                return Err(format!("{what}: {zone:?}, {around:?}"));
            }
        }
        Ok(())
    }

    fn zones(&self) -> Result<Vec<Zone>, String> {
        let beginning = Span { asked: 0, answered: Some(0) };
        let mut zones = BTreeMap::new();
        for (value, span) in self.writes.iter().chain([(&INITIAL, &beginning)]) {
            let first_answered = span.answered.unwrap_or(u64::MAX);
            zones.insert(*value, Zone { value: *value, first_answered, last_asked: span.asked });
        }
        for (value, span) in &self.reads {
            let Some(answered) = span.answered else { continue };
            if self.refused.contains(value) {
                return Err(format!("{value} was refused and read at {span:?}"));
            }
            let zone = zones.get_mut(value);
            let zone = zone.ok_or_else(|| format!("{value} was read and never written"))?;
            let written = self.writes.get(value).map_or(0, |write| write.asked);
            if answered < written {
                return Err(format!("{value} was read before it was written: {span:?}"));
            }
            zone.first_answered = zone.first_answered.min(answered);
            zone.last_asked = zone.last_asked.max(span.asked);
        }
        // What nobody has answered or seen may never have happened.
        Ok(zones.into_values().filter(|zone| zone.first_answered != u64::MAX).collect())
    }
}

/// Why what a session saw of registers went backwards, if it did. `versions` tells which version of its register a value
/// was; a session sees what it reads, and what it was told that it wrote.
pub fn check_session(
    seen: &[(usize, Value)],
    versions: &BTreeMap<(usize, Value), u64>,
) -> Result<(), String> {
    let mut newest: BTreeMap<usize, (u64, Value)> = BTreeMap::new();
    for (register, value) in seen {
        let version = versions.get(&(*register, *value));
        let version = *version.ok_or_else(|| format!("{value} was seen and is not there"))?;
        let before = newest.entry(*register).or_insert((version, *value));
        if before.0 > version {
            return Err(format!("register {register} showed {value} after {}", before.1));
        }
        *before = (version, *value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(asked: u64, answered: u64) -> Span {
        Span { asked, answered: Some(answered) }
    }

    fn history(writes: &[(Value, Span)], reads: &[(Value, Span)]) -> History {
        History {
            writes: writes.iter().copied().collect(),
            refused: BTreeSet::new(),
            reads: reads.to_vec(),
        }
    }

    #[test]
    fn what_agrees_with_time_is_accepted() {
        let reads = [(INITIAL, span(5, 15)), (1, span(25, 30)), (2, span(45, 60))];
        history(&[(1, span(10, 20)), (2, span(40, 50))], &reads).check().expect("in order");
        // Two writes at once: either may be the last.
        let both = [(1, span(10, 50)), (2, span(20, 40))];
        for last in [1, 2] {
            history(&both, &[(last, span(60, 70))]).check().expect("either");
        }
    }

    #[test]
    fn an_old_value_after_a_new_one_is_found() {
        let writes = [(1, span(10, 20)), (2, span(30, 40))];
        history(&writes, &[(1, span(50, 60))]).check().expect_err("stale");
        history(&writes, &[(INITIAL, span(25, 28))]).check().expect_err("stale");
        let flicker = [(1, span(10, 100)), (2, span(10, 100))];
        let reads = [(1, span(20, 25)), (2, span(30, 35)), (1, span(40, 45))];
        history(&flicker, &reads).check().expect_err("there and back");
    }

    #[test]
    fn a_lost_write_is_found_and_an_unknown_one_may_be_lost() {
        let unknown = Span { asked: 30, answered: None };
        history(&[(1, span(10, 20)), (2, unknown)], &[(1, span(50, 60))]).check().expect("lost");
        history(&[(1, span(10, 20)), (2, unknown)], &[(2, span(50, 60))]).check().expect("late");
        let reads = [(2, span(50, 60)), (1, span(70, 80))];
        history(&[(1, span(10, 20)), (2, unknown)], &reads).check().expect_err("lost once seen");
    }

    #[test]
    fn a_value_from_nowhere_is_found() {
        history(&[], &[(7, span(1, 2))]).check().expect_err("never written");
        history(&[(7, span(10, 20))], &[(7, span(1, 2))]).check().expect_err("not yet written");
        let mut refused = history(&[], &[(7, span(1, 2))]);
        refused.refused.insert(7);
        refused.check().expect_err("refused");
    }

    #[test]
    fn a_session_that_goes_backwards_is_found() {
        let versions = [((0, 5), 1), ((0, 6), 2), ((1, 7), 1)].into_iter().collect();
        check_session(&[(0, 5), (1, 7), (0, 6), (0, 6)], &versions).expect("forwards");
        check_session(&[(0, 6), (1, 7), (0, 5)], &versions).expect_err("backwards");
    }
}
