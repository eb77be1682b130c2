//! Whether what is stored is what it should be: an offline check of every row.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::FlightDesignator;

use super::count::Count;
use super::fold::designators::Sharing;
use super::history;
use super::key::{Key, table};
use super::lookup::rotation_legs;
use super::recompute::{all, maintained, recomputed};
use super::row::{AirplaneRow, LegRow, RotationLeg, RotationRow};
use super::rows::{Direction, MemoryRows, Range, ReadRows, Result};
use super::snapshot::Snapshot;

/// The findings that are listed; more are only counted.
const FINDINGS_MAX: usize = 100;

/// What a check of the projections found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The rows read, each with a right checksum.
    pub rows: u64,
    /// What is not as it should be, as far as it is listed.
    pub findings: Vec<String>,
    /// The number of findings.
    pub findings_count: u64,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.findings_count == 0
    }

    fn add(&mut self, finding: impl FnOnce() -> String) {
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding());
        }
    }
}

/// Reads every row, which verifies its checksum, and compares all that follows from others (indexes, counts,
/// violations) with what follows, and what histories say with what there is. Holds the schedule in memory. A row whose checksum is wrong is an error.
pub fn verify(snapshot: &Snapshot) -> Result<Report> {
    let mut report = check(snapshot)?;
    let at = snapshot.as_of().unwrap_or(Timestamp(u64::MAX));
    history::verify(snapshot, at, &mut |finding| report.add(|| finding))?;
    Ok(report)
}

/// [`verify`] for any rows, without their histories.
pub(crate) fn check(source: &impl ReadRows) -> Result<Report> {
    let mut report = Report::default();
    let everything = Range { from: Key::default(), to: None };
    source.visit(&everything, Direction::Forward, &mut |_, _| {
        report.rows += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    if maintained(source)? != recomputed(source)? {
        report.add(|| "the maintained violations are not the recomputed ones".to_owned());
    }
    check_indexes(source, &mut report)?;
    check_counts(source, &mut report)?;
    Ok(report)
}

fn check_indexes(source: &impl ReadRows, report: &mut Report) -> Result<()> {
    let expected = indexes(source)?;
    for table in [
        table::ROTATION_AIRPLANES,
        table::ROTATION_NAMES,
        table::ROTATION_LEGS,
        table::DESIGNATORS,
        table::DEPARTURES,
        table::ARRIVALS,
    ] {
        let range = Range::prefix(Key::table(table));
        let mut missing: BTreeSet<Key> =
            expected.range::<[u8], _>(range.bounds()).map(|(key, _)| key.clone()).collect();
        source.visit(&range, Direction::Forward, &mut |key, value| {
            missing.remove(key);
            if expected.get(key).is_none_or(|expected| expected != value) {
                report.add(|| format!("table {table:02x} has a wrong entry {key:02x?}"));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for key in missing {
            report.add(|| format!("table {table:02x} lacks the entry {:02x?}", &key[..]));
        }
    }
    Ok(())
}

/// The entries of all indexes, as they follow from the rows.
fn indexes(source: &impl ReadRows) -> Result<MemoryRows> {
    let mut expected = MemoryRows::new();
    for airplane in all(source, table::AIRPLANES, AirplaneRow::decode)? {
        if let Some(rotation) = airplane.rotation {
            let key = Key::rotation_airplane(rotation, airplane.registration);
            expected.insert(key, Key::default().minimum(airplane.minimum_ground_time).to_vec());
        }
    }
    for rotation in all(source, table::ROTATIONS, RotationRow::decode)? {
        if let Some(name) = &rotation.name {
            expected.insert(Key::rotation_name(name, rotation.id), Vec::new());
        }
    }
    let mut designators: BTreeMap<FlightDesignator, Sharing> = BTreeMap::new();
    for LegRow { leg, owner, .. } in all(source, table::LEGS, LegRow::decode)? {
        let (airport, departure) = (leg.designator.departure_airport, leg.block.departure());
        expected.insert(Key::departure(airport, departure, leg.id), Vec::new());
        if let Some(rotation) = owner.rotation() {
            let entry = RotationLeg::of(rotation, &leg);
            expected.insert(entry.key(), entry.encode().to_vec());
            expected
                .insert(Key::arrival(leg.arrival_airport, rotation, departure, leg.id), Vec::new());
        }
        let more = |sharing: &mut Sharing| {
            *sharing = match sharing {
                Sharing::One(_) => Sharing::Many(2),
                Sharing::Many(legs) => Sharing::Many(*legs + 1),
            };
        };
        designators.entry(leg.designator).and_modify(more).or_insert(Sharing::One(leg.id));
    }
    for (designator, sharing) in designators {
        expected.insert(Key::designator(&designator), sharing.encode().to_vec());
    }
    Ok(expected)
}

fn check_counts(source: &impl ReadRows, report: &mut Report) -> Result<()> {
    let counted = [
        (Count::Airports, table::AIRPORTS),
        (Count::Airplanes, table::AIRPLANES),
        (Count::Rotations, table::ROTATIONS),
        (Count::Legs, table::LEGS),
        (Count::ContinuityViolations, table::CONTINUITY),
        (Count::GroundTimeViolations, table::GROUND_TIME),
        (Count::DesignatorViolations, table::DESIGNATOR),
    ];
    for (count, table) in counted {
        let mut rows = 0;
        source.visit(&Range::prefix(Key::table(table)), Direction::Forward, &mut |_, _| {
            rows += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        let stored = count.read(source)?;
        if stored != rows {
            report.add(|| format!("{count:?} are counted as {stored}, there are {rows}"));
        }
    }
    for rotation in all(source, table::ROTATIONS, RotationRow::decode)? {
        let legs = rotation_legs(source, rotation.id)?;
        let counted = u64::try_from(legs.len()).unwrap_or(u64::MAX);
        let (first, last) =
            (legs.first().map(|leg| leg.departure), legs.last().map(|leg| leg.arrival));
        if (rotation.legs, rotation.first_departure, rotation.last_arrival)
            != (counted, first, last)
        {
            report.add(|| {
                format!("rotation {} does not say how many legs it has and when", rotation.id)
            });
        }
    }
    Ok(())
}
