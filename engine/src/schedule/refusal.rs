//! Refusals: why a command was not decided. They are answers, and leave no trace.

use super::AggregateId;
use super::leg::Leg;
use super::value::LegId;

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The aggregate exists already.
    #[error("{} {} exists already", .0.type_name(), .0)]
    AlreadyExists(AggregateId),
    /// The aggregate does not exist.
    #[error("{} {} does not exist", .0.type_name(), .0)]
    Missing(AggregateId),
    /// The leg would overlap another of its rotation.
    #[error("leg {} overlaps leg {}", .added.designator, .existing.designator)]
    LegsOverlap {
        /// The leg that was to be added or rescheduled.
        added: Box<Leg>,
        /// The leg that is in its way.
        existing: Box<Leg>,
    },
    /// The aggregate has a leg with this id already.
    #[error("leg {0} exists already")]
    LegExists(LegId),
    /// The aggregate has no leg with this id.
    #[error("leg {0} is not here")]
    LegMissing(LegId),
    /// The leg is not what the command expects: another command came between reading and deciding.
    #[error("leg {0} has changed meanwhile")]
    LegChanged(LegId),
    /// The rotation still has legs: another command added one between reading and deciding.
    #[error("rotation {0} has legs")]
    RotationHasLegs(AggregateId),
    /// A leg's designator cannot change.
    #[error("the designator of leg {0} cannot change")]
    DesignatorChanged(LegId),
    /// The command is for another type of aggregate.
    #[error("{} {} does not take this command", .0.type_name(), .0)]
    WrongAggregate(AggregateId),
}
