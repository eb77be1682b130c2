//! Legs: who holds them, and the rows and indexes that follow from it.

use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{Leg, LegId};

use super::super::count::Count;
use super::super::key::Key;
use super::super::row::{LegOwner, LegRow};
use super::super::rows::{Direction, Range, Result, Rows};
use super::Fold;

impl<R: Rows> Fold<R> {
    /// `owner` holds the leg from now on, by an event of that time. The newest claim shows; equal times, which
    /// one statement can make, are told apart by the owners.
    pub(super) fn claim(&mut self, owner: LegOwner, claimed: Timestamp, leg: &Leg) -> Result<()> {
        let claim = LegRow { leg: *leg, owner, claimed, rivals: 0 };
        let Some(shown) = self.leg(leg.id)? else {
            self.put_leg(&claim);
            return self.show(&claim);
        };
        if shown.owner == owner {
            return self.replace(&shown, &LegRow { rivals: shown.rivals, ..claim });
        }
        let again = shown.rivals > 0 && self.rival(leg.id, owner)?.is_some();
        let rivals = shown.rivals + u32::from(!again);
        if (claimed, owner) > (shown.claimed, shown.owner) {
            if again {
                self.rows.delete(Key::rival(leg.id, owner));
            }
            self.put_rival(&shown);
            self.replace(&shown, &LegRow { rivals, ..claim })
        } else {
            self.put_rival(&claim);
            self.put_leg(&LegRow { rivals, ..shown });
            Ok(())
        }
    }

    /// The leg has changed where `owner` holds it.
    pub(super) fn amend(&mut self, owner: LegOwner, leg: &Leg) -> Result<()> {
        let Some(shown) = self.leg(leg.id)? else { return Ok(()) };
        if shown.owner == owner {
            return self.replace(&shown, &LegRow { leg: *leg, ..shown });
        }
        if shown.rivals > 0
            && let Some(rival) = self.rival(leg.id, owner)?
        {
            self.put_rival(&LegRow { leg: *leg, ..rival });
        }
        Ok(())
    }

    /// `owner` holds the leg no more.
    pub(super) fn release(&mut self, owner: LegOwner, id: LegId) -> Result<()> {
        let Some(shown) = self.leg(id)? else { return Ok(()) };
        if shown.owner != owner {
            if shown.rivals > 0 && self.rival(id, owner)?.is_some() {
                self.rows.delete(Key::rival(id, owner));
                self.put_leg(&LegRow { rivals: shown.rivals - 1, ..shown });
            }
            return Ok(());
        }
        let Some(rival) = self.newest_rival(&shown)? else {
            self.rows.delete(Key::leg(id));
            return self.hide(&shown);
        };
        self.rows.delete(Key::rival(id, rival.owner));
        self.replace(&shown, &LegRow { rivals: shown.rivals - 1, ..rival })
    }

    fn leg(&self, id: LegId) -> Result<Option<LegRow>> {
        let key = Key::leg(id);
        self.rows.get(&key, |value| LegRow::decode(&key, value))
    }

    fn rival(&self, id: LegId, owner: LegOwner) -> Result<Option<LegRow>> {
        let key = Key::rival(id, owner);
        self.rows.get(&key, |value| LegRow::decode(&key[..17], value))
    }

    fn newest_rival(&self, shown: &LegRow) -> Result<Option<LegRow>> {
        if shown.rivals == 0 {
            return Ok(None);
        }
        let mut newest: Option<LegRow> = None;
        self.rows.visit(
            &Range::prefix(Key::rivals(shown.leg.id)),
            Direction::Forward,
            &mut |key, value| {
                let rival = LegRow::decode(&key[..17], value)?;
                if newest.is_none_or(|newest| {
                    (rival.claimed, rival.owner) > (newest.claimed, newest.owner)
                }) {
                    newest = Some(rival);
                }
                Ok(std::ops::ControlFlow::Continue(()))
            },
        )?;
        Ok(newest)
    }

    fn put_leg(&mut self, row: &LegRow) {
        self.value.clear();
        row.encode(&mut self.value);
        self.rows.put(Key::leg(row.leg.id), &self.value);
    }

    pub(super) fn put_rival(&mut self, row: &LegRow) {
        self.value.clear();
        LegRow { rivals: 0, ..*row }.encode(&mut self.value);
        self.rows.put(Key::rival(row.leg.id, row.owner), &self.value);
    }

    /// Another row is shown for the same leg.
    fn replace(&mut self, before: &LegRow, after: &LegRow) -> Result<()> {
        self.put_leg(after);
        if before.leg.designator != after.leg.designator {
            self.hide(before)?;
            return self.show(after);
        }
        if before.leg.block.departure() != after.leg.block.departure() {
            self.rows.delete(departure_key(&before.leg));
            self.rows.put(departure_key(&after.leg), &[]);
        }
        let same_place = before.rotation() == after.rotation()
            && before.leg.block == after.leg.block
            && before.leg.arrival_airport == after.leg.arrival_airport;
        if same_place {
            return Ok(());
        }
        if let Some(rotation) = before.rotation() {
            self.leave_rotation(rotation, &before.leg)?;
        }
        if let Some(rotation) = after.rotation() {
            self.enter_rotation(rotation, &after.leg)?;
        }
        Ok(())
    }

    /// Everything that follows from the row of a leg, begun.
    fn show(&mut self, row: &LegRow) -> Result<()> {
        self.count(Count::Legs, 1);
        self.rows.put(departure_key(&row.leg), &[]);
        self.add_designator(&row.leg.designator, row.leg.id)?;
        row.rotation().map_or(Ok(()), |rotation| self.enter_rotation(rotation, &row.leg))
    }

    /// Everything that follows from the row of a leg, ended.
    fn hide(&mut self, row: &LegRow) -> Result<()> {
        self.count(Count::Legs, -1);
        self.rows.delete(departure_key(&row.leg));
        self.remove_designator(&row.leg.designator, row.leg.id)?;
        row.rotation().map_or(Ok(()), |rotation| self.leave_rotation(rotation, &row.leg))
    }
}

fn departure_key(leg: &Leg) -> Key {
    Key::departure(leg.designator.departure_airport, leg.block.departure(), leg.id)
}
