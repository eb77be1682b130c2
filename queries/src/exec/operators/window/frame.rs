//! Which rows of its partition a row's frame holds.

use std::ops::Range;

use smallvec::SmallVec;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::exec::operators::window::Partition;
use crate::exec::operators::window::range::RangeOffset;
use crate::plan::{Frame, FrameBound, FrameExclusion, FrameUnit};
use crate::types::Datum;

/// A compiled frame.
pub(super) struct CompiledFrame {
    unit: FrameUnit,
    start: CompiledBound,
    end: CompiledBound,
    exclusion: FrameExclusion,
}

enum CompiledBound {
    UnboundedPreceding,
    Preceding(Compiled),
    CurrentRow,
    Following(Compiled),
    UnboundedFollowing,
}

/// The places of a frame's rows: ranges in order, none empty, none touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameRows {
    ranges: SmallVec<[Range<usize>; 3]>,
}

/// A frame over one partition, offsets evaluated.
pub(super) struct PartitionFrame<'a> {
    partition: &'a Partition<'a>,
    unit: FrameUnit,
    start: Bound<'a>,
    end: Bound<'a>,
    exclusion: FrameExclusion,
    env: Env<'a>,
}

enum Bound<'a> {
    First,
    Current,
    Last,
    /// Rows or groups before or behind.
    Steps {
        count: usize,
        following: bool,
    },
    /// A distance of the key's value.
    Distance {
        offset: RangeOffset<'a>,
        following: bool,
    },
}

impl CompiledFrame {
    /// Compiles a frame.
    pub(super) fn new(builder: &mut Builder<'_>, frame: &Frame) -> Result<Self> {
        let mut bound = |bound: &FrameBound| {
            Ok(match bound {
                FrameBound::UnboundedPreceding => CompiledBound::UnboundedPreceding,
                FrameBound::Preceding(offset) => {
                    CompiledBound::Preceding(builder.expression(offset)?)
                }
                FrameBound::CurrentRow => CompiledBound::CurrentRow,
                FrameBound::Following(offset) => {
                    CompiledBound::Following(builder.expression(offset)?)
                }
                FrameBound::UnboundedFollowing => CompiledBound::UnboundedFollowing,
            })
        };
        let (start, end): (Result<_>, Result<_>) = (bound(&frame.start), bound(&frame.end));
        Ok(Self { unit: frame.unit, start: start?, end: end?, exclusion: frame.exclusion })
    }

    /// Evaluates the offsets for a partition.
    pub(super) fn start<'a>(
        &'a self,
        partition: &'a Partition<'a>,
        env: &Env<'a>,
    ) -> Result<PartitionFrame<'a>> {
        Ok(PartitionFrame {
            partition,
            unit: self.unit,
            start: self.bound(&self.start, "starting", env)?,
            end: self.bound(&self.end, "ending", env)?,
            exclusion: self.exclusion,
            env: *env,
        })
    }

    fn bound<'a>(&self, bound: &'a CompiledBound, which: &str, env: &Env<'a>) -> Result<Bound<'a>> {
        let (offset, following) = match bound {
            CompiledBound::UnboundedPreceding => return Ok(Bound::First),
            CompiledBound::CurrentRow => return Ok(Bound::Current),
            CompiledBound::UnboundedFollowing => return Ok(Bound::Last),
            CompiledBound::Preceding(offset) => (offset, false),
            CompiledBound::Following(offset) => (offset, true),
        };
        let offset = offset.eval(&[], env)?;
        if offset.is_null() {
            let message = format!("frame {which} offset must not be null");
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        if self.unit == FrameUnit::Range {
            let offset = RangeOffset::new(offset)?;
            return Ok(Bound::Distance { offset, following });
        }
        let count = match &*offset {
            Datum::Int8(count) => *count,
            Datum::Int4(count) => i64::from(*count),
            Datum::Int2(count) => i64::from(*count),
            _ => return Err(SqlError::internal("a frame offset is not of type bigint")),
        };
        let count = usize::try_from(count).map_err(|_| {
            let message = format!("frame {which} offset must not be negative");
            SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message)
        })?;
        Ok(Bound::Steps { count, following })
    }
}

impl PartitionFrame<'_> {
    /// The frame of the row at a place.
    pub(super) fn rows(&self, place: usize) -> Result<FrameRows> {
        let start = self.edge(&self.start, place, false)?;
        let end = self.edge(&self.end, place, true)?;
        let peers = self.partition.peers(place);
        let mut rows = FrameRows::default();
        let holes: [Range<usize>; 2] = match self.exclusion {
            FrameExclusion::NoOthers => [0..0, 0..0],
            FrameExclusion::CurrentRow => [place..place + 1, 0..0],
            FrameExclusion::Group => [peers, 0..0],
            FrameExclusion::Ties => [peers.start..place, place + 1..peers.end],
        };
        let mut from = start;
        for hole in holes.into_iter().filter(|hole| !hole.is_empty()) {
            rows.push(from..hole.start.min(end));
            from = from.max(hole.end);
        }
        rows.push(from..end);
        Ok(rows)
    }

    /// The first place within a start bound, or the first one behind an end bound.
    fn edge(&self, bound: &Bound<'_>, place: usize, is_end: bool) -> Result<usize> {
        let count = self.partition.len();
        Ok(match bound {
            Bound::First => 0,
            Bound::Last => count,
            Bound::Current => match self.unit {
                FrameUnit::Rows => place + usize::from(is_end),
                FrameUnit::Range | FrameUnit::Groups => {
                    let peers = self.partition.peers(place);
                    if is_end { peers.end } else { peers.start }
                }
            },
            Bound::Steps { count: steps, following } if self.unit == FrameUnit::Rows => {
                step(place, *steps, *following)
                    .map_or(0, |target| (target + usize::from(is_end)).min(count))
            }
            Bound::Steps { count: steps, following } => {
                let target = step(self.partition.group_of[place], *steps, *following);
                target.map_or(0, |group| {
                    let group = group
                        .saturating_add(usize::from(is_end))
                        .min(self.partition.groups.len() - 1);
                    self.partition.groups[group]
                })
            }
            Bound::Distance { offset, following } => {
                self.distance_edge(offset, *following, place, is_end)?
            }
        })
    }

    /// The edge of a frame by the distance of the one sort key.
    fn distance_edge(
        &self,
        offset: &RangeOffset<'_>,
        following: bool,
        place: usize,
        is_end: bool,
    ) -> Result<usize> {
        let partition = self.partition;
        let column = partition.own_keys;
        let direction = partition.order.directions()[column];
        let key =
            |place: usize| partition.keys.key(partition.order, partition.number(place), column);
        let current = key(place);
        if current.is_null() {
            let peers = partition.peers(place);
            return Ok(if is_end { peers.end } else { peers.start });
        }
        // Following is towards larger values, unless the order descends.
        let limit = offset.apply(current, following != direction.descending(), &self.env)?;
        let before = |other: &Datum| {
            if other.is_null() {
                return direction.nulls_first();
            }
            let order = limit.compare(other).reverse();
            let order = if direction.descending() { order.reverse() } else { order };
            if is_end { order.is_le() } else { order.is_lt() }
        };
        let (mut low, mut high) = (0, partition.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if before(key(middle)) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

/// Some steps before (none: before the first) or behind a place.
fn step(place: usize, steps: usize, following: bool) -> Option<usize> {
    if following {
        Some(place.saturating_add(steps).min(usize::MAX - 1))
    } else {
        place.checked_sub(steps)
    }
}

impl FrameRows {
    fn push(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// The places in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.ranges.iter().cloned().flatten()
    }

    /// The place of a row of the frame, counted from 0.
    pub(super) fn nth(&self, mut number: usize) -> Option<usize> {
        for range in &self.ranges {
            if number < range.len() {
                return Some(range.start + number);
            }
            number -= range.len();
        }
        None
    }

    /// The last place.
    pub(super) fn last(&self) -> Option<usize> {
        self.ranges.last().map(|range| range.end - 1)
    }

    /// Whether this is the other frame with further rows behind it.
    pub(super) fn extends(&self, other: &Self) -> bool {
        match (&*self.ranges, &*other.ranges) {
            (_, []) => true,
            ([now], [before]) => now.start == before.start && now.end >= before.end,
            _ => false,
        }
    }
}
