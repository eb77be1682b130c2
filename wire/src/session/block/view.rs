//! What a block's statements see: a state of the projections, with the block's own events on top.

use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Positions;
use rotabase_queries::error::Result;
use rotabase_queries::projection::Snapshot;

use super::draft::Draft;

/// The events that a block may have written for its next statement to look at a newer state of the schedule still:
/// they are folded again on top of it. A block that has written more stays where it is.
pub(crate) const EVENTS_MOVED_MAX: usize = 1000;

/// The events that are folded before the block's memory is looked at again.
const FOLDED_AT_ONCE: usize = 4096;

/// The view of a block.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The state that everything is decided on. None before the first statement that looks.
    base: Option<Snapshot>,
    /// The base with some of the block's first events on top, and how many.
    above: Option<(Snapshot, usize)>,
    /// Where the first base stood.
    first: Option<Positions>,
}

impl View {
    /// The state without the block's events.
    pub(super) fn base(&self) -> Option<&Snapshot> {
        self.base.as_ref()
    }

    /// Where the first state stood that the block has looked at.
    pub(super) fn first(&self) -> Positions {
        self.first.clone().unwrap_or_default()
    }

    /// The bytes of the block's events on top.
    pub(super) fn bytes(&self) -> usize {
        self.above.as_ref().map_or(0, |(above, _)| above.own_bytes())
    }

    /// Goes on to a newer state, if the block may: what it has written to has to be the same there. With `fixed` it
    /// stays at its first.
    pub(super) fn advance(
        &mut self,
        newest: &Snapshot,
        fixed: bool,
        draft: &mut Draft,
    ) -> Result<()> {
        match &self.base {
            None => self.first = Some(newest.positions().clone()),
            Some(base) => {
                let stays = fixed
                    || base.is(newest)
                    || draft.events().len() > EVENTS_MOVED_MAX
                    || !draft.stands_on(newest)?;
                if stays {
                    return Ok(());
                }
            }
        }
        draft.forget_unwritten();
        self.base = Some(newest.clone());
        self.above = None;
        Ok(())
    }

    /// What a statement sees now. `charge` is told what the view takes while it grows.
    pub(super) fn snapshot(
        &mut self,
        draft: &Draft,
        now: i64,
        charge: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Snapshot> {
        let Some(base) = &self.base else { return Ok(Snapshot::empty()) };
        let events = draft.events();
        if events.is_empty() {
            return Ok(base.clone());
        }
        let timestamp = Timestamp::from_microseconds(now);
        let (mut above, mut folded) = self.above.take().unwrap_or_else(|| (base.clone(), 0));
        while folded < events.len() {
            let end = events.len().min(folded + FOLDED_AT_ONCE);
            above = above.with_more(timestamp, &events[folded..end])?;
            folded = end;
            charge(above.own_bytes())?;
        }
        self.above = Some((above.clone(), folded));
        Ok(above)
    }

    /// How many of the block's events have to be folded for its next statement.
    pub(super) fn behind(&self, draft: &Draft) -> usize {
        draft.events().len() - self.above.as_ref().map_or(0, |(_, folded)| *folded)
    }

    /// Some of the events on top are no more.
    pub(super) fn forget_events(&mut self) {
        self.above = None;
    }
}
