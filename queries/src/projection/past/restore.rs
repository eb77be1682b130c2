//! A past instant from row versions: what has changed since is put back above what is there now.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{AggregateId, Schedule};

use super::super::fold::Fold;
use super::super::history::{Change, Subject, changes_after, read_kept_after, state};
use super::super::overlay::Overlay;
use super::super::rows::{ReadRows, Result};
use super::PastError;

/// The subjects that are put back at most; where more have changed since, a replay is no dearer.
pub(super) const RESTORED_SUBJECTS_MAX: usize = 50_000;

/// The bytes of memory that what is put back may take.
pub(super) const RESTORED_BYTES_MAX: usize = 64 << 20;

/// What has changed since an instant.
#[derive(Debug, Default)]
struct Changed {
    subjects: BTreeSet<Subject>,
    /// Aggregates with the versions they had.
    versions: BTreeMap<AggregateId, u64>,
    events: u64,
}

/// Puts back what has changed after `at`. `rows` is what is there now, with the histories; `fold` is above it. False,
/// and then the fold is of no use, if not all changes are kept, or too many.
pub(crate) fn restore<B: ReadRows>(
    fold: &mut Fold<Overlay<B>>,
    rows: &impl ReadRows,
    at: Timestamp,
    stopped: &dyn Fn() -> bool,
) -> Result<bool, PastError> {
    if read_kept_after(rows)?.is_none_or(|kept_after| kept_after > at) {
        return Ok(false);
    }
    let Some(changed) = changed_since(rows, at)? else { return Ok(false) };
    let mut gone = Vec::new();
    // Rotations come before the legs in them.
    for subject in changed.subjects.iter().rev() {
        if let Subject::Rotation(id) = subject {
            match state::rotation(rows, *id, at)? {
                Some(state::RotationName(name)) => fold.restore_rotation(*id, name)?,
                None => gone.push(*id),
            }
        }
    }
    for subject in &changed.subjects {
        if stopped() {
            return Err(PastError::Stopped);
        }
        if fold.rows.pending.bytes() > RESTORED_BYTES_MAX {
            return Ok(false);
        }
        match subject {
            Subject::Rotation(_) => {}
            Subject::Leg(id) => fold.restore_leg(*id, &state::claims(rows, *id, at)?)?,
            Subject::Airport(code) => {
                fold.restore_airport(*code, state::airport(rows, *code, at)?)?;
            }
            Subject::Airplane(id) => fold.restore_airplane(*id, state::airplane(rows, *id, at)?)?,
        }
    }
    for id in gone {
        fold.restore_no_rotation(id)?;
    }
    let mut encoded = Vec::new();
    for (aggregate, version) in &changed.versions {
        encoded.clear();
        Schedule::encode_id(aggregate, &mut encoded);
        fold.restore_version(&encoded, *version);
    }
    fold.restore_events(changed.events);
    fold.settle()?;
    Ok(true)
}

/// What has changed since an instant; none if it is too much.
fn changed_since(rows: &impl ReadRows, at: Timestamp) -> Result<Option<Changed>> {
    let mut changed = Changed::default();
    changes_after(rows, at, &mut |events, changes| {
        changed.events += u64::from(events);
        for change in changes {
            match change {
                Change::Subject(subject) => {
                    changed.subjects.insert(subject);
                }
                Change::Version(aggregate, before) => {
                    // The first change says what was before all of them.
                    changed.versions.entry(aggregate).or_insert(before);
                }
            }
        }
        Ok(if changed.subjects.len() > RESTORED_SUBJECTS_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok((changed.subjects.len() <= RESTORED_SUBJECTS_MAX).then_some(changed))
}
