//! The legs of rotations in order, remembered between events: a leg's neighbours without reading the store. What
//! is remembered is always what the rows say; forgetting costs time only.

use rotabase_engine::schedule::RotationId;
use rustc_hash::FxHashMap;

use super::super::row::RotationLeg;

/// The legs that are remembered, over all rotations: 64 MB.
const LEGS_REMEMBERED_MAX: usize = 1 << 20;

/// The legs of the longest rotation that is remembered; more are dear to keep in order.
pub(super) const ROTATION_LEGS_MAX: usize = 4096;

/// When there is no room, everything is forgotten after so many misses for each rotation that is remembered, so
/// that reading whole rotations stays the exception.
const MISSES_MAX: usize = 16;

/// The legs of some rotations, by departure and id.
#[derive(Debug, Default)]
pub(super) struct Orders {
    by_rotation: FxHashMap<RotationId, Vec<RotationLeg>>,
    legs: usize,
    misses: usize,
}

impl Orders {
    /// The legs of a rotation, if it is remembered.
    pub(super) fn get(&self, rotation: RotationId) -> Option<&[RotationLeg]> {
        self.by_rotation.get(&rotation).map(Vec::as_slice)
    }

    /// Whether the legs of one more rotation should be remembered.
    pub(super) fn has_room(&mut self) -> bool {
        if self.legs < LEGS_REMEMBERED_MAX && self.by_rotation.len() < LEGS_REMEMBERED_MAX {
            return true;
        }
        self.misses += 1;
        if self.misses > self.by_rotation.len() * MISSES_MAX {
            *self = Self::default();
        }
        false
    }

    /// Remembers the legs of a rotation, in order.
    pub(super) fn remember(&mut self, rotation: RotationId, legs: Vec<RotationLeg>) {
        self.legs += legs.len();
        self.by_rotation.insert(rotation, legs);
    }

    /// Forgets the legs of a rotation, and gives them if they were remembered.
    pub(super) fn forget(&mut self, rotation: RotationId) -> Option<Vec<RotationLeg>> {
        let legs = self.by_rotation.remove(&rotation)?;
        self.legs -= legs.len();
        Some(legs)
    }

    /// Remembers that a leg has taken its place.
    pub(super) fn insert(&mut self, leg: &RotationLeg) {
        let Some(legs) = self.by_rotation.get_mut(&leg.rotation) else { return };
        let (Ok(at) | Err(at)) = find(legs, leg);
        if legs.len() < ROTATION_LEGS_MAX {
            legs.insert(at, *leg);
            self.legs += 1;
        } else {
            self.legs -= legs.len();
            self.by_rotation.remove(&leg.rotation);
        }
    }

    /// Remembers that a leg has given up its place.
    pub(super) fn remove(&mut self, leg: &RotationLeg) {
        let Some(legs) = self.by_rotation.get_mut(&leg.rotation) else { return };
        if let Ok(at) = find(legs, leg) {
            legs.remove(at);
            self.legs -= 1;
        }
    }
}

/// Where a leg is, or would be.
fn find(legs: &[RotationLeg], leg: &RotationLeg) -> Result<usize, usize> {
    legs.binary_search_by(|it| (it.departure, it.id).cmp(&(leg.departure, leg.id)))
}

/// The leg before and the leg after, of legs in order.
pub(super) fn neighbours(
    legs: &[RotationLeg],
    leg: &RotationLeg,
) -> (Option<RotationLeg>, Option<RotationLeg>) {
    let found = find(legs, leg);
    let (Ok(at) | Err(at)) = found;
    let after = at + usize::from(found.is_ok());
    (at.checked_sub(1).map(|before| legs[before]), legs.get(after).copied())
}
