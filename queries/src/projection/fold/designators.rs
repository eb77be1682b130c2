//! Which legs share a designator. One leg stands in the designator's row itself; only from two on is there a
//! row for each, and each is a violation.

use rotabase_engine::schedule::{FlightDesignator, LegId};

use super::super::count::Count;
use super::super::key::Key;
use super::super::row::{Fields, corrupted};
use super::super::rows::{Direction, Range, Result, Rows};
use super::Fold;

/// The legs of a designator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// One leg has it.
    One(LegId),
    /// So many legs share it, at least two.
    Many(u64),
}

impl Sharing {
    pub(crate) fn encode(self) -> Key {
        match self {
            Self::One(leg) => Key::default().bytes(&[1]).uuid(leg.0),
            Self::Many(legs) => Key::default().bytes(&[2]).uint8(legs),
        }
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let mut fields = Fields(value);
        match fields.byte()? {
            1 => Ok(Self::One(LegId(fields.uuid()?))),
            2 => Ok(Self::Many(fields.uint8()?)),
            _ => Err(corrupted("neither one leg nor many")),
        }
    }
}

impl<R: Rows> Fold<R> {
    pub(super) fn add_designator(
        &mut self,
        designator: &FlightDesignator,
        leg: LegId,
    ) -> Result<()> {
        let key = Key::designator(designator);
        let sharing = match self.rows.get(&key, Sharing::decode)? {
            None => Sharing::One(leg),
            Some(Sharing::One(other)) => {
                self.put_designator_violation(designator, other);
                self.put_designator_violation(designator, leg);
                Sharing::Many(2)
            }
            Some(Sharing::Many(legs)) => {
                self.put_designator_violation(designator, leg);
                Sharing::Many(legs + 1)
            }
        };
        self.rows.put(key, &sharing.encode());
        Ok(())
    }

    pub(super) fn remove_designator(
        &mut self,
        designator: &FlightDesignator,
        leg: LegId,
    ) -> Result<()> {
        let key = Key::designator(designator);
        match self.rows.get(&key, Sharing::decode)? {
            None | Some(Sharing::One(_)) => self.rows.delete(key),
            Some(Sharing::Many(legs)) => {
                self.delete_designator_violation(designator, leg);
                if legs > 2 {
                    self.rows.put(key, &Sharing::Many(legs - 1).encode());
                    return Ok(());
                }
                let members = Range::prefix(Key::designator_violations(designator));
                let last = self.rows.first(&members, Direction::Forward, |key, _| {
                    Ok(LegId(Fields(&key[16..]).uuid()?))
                })?;
                let last = last.ok_or_else(|| corrupted("a designator lacks its legs"))?;
                self.delete_designator_violation(designator, last);
                self.rows.put(key, &Sharing::One(last).encode());
            }
        }
        Ok(())
    }

    fn put_designator_violation(&mut self, designator: &FlightDesignator, leg: LegId) {
        self.rows.put(Key::designator_violation(designator, leg), &[]);
        self.count(Count::DesignatorViolations, 1);
    }

    fn delete_designator_violation(&mut self, designator: &FlightDesignator, leg: LegId) {
        self.rows.delete(Key::designator_violation(designator, leg));
        self.count(Count::DesignatorViolations, -1);
    }
}
