//! What is written reads back as the same legs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rotabase::ssim::{SsimExportError, SsimWriter, leg_id};
use rotabase_engine::schedule::{
    BlockTime, DayOfOrigin, FlightDesignator, FlightId, FlightNumber, Leg, LegId, UtcTime,
};

use crate::samples;

fn write(legs: &[Leg]) -> Result<Vec<u8>, SsimExportError> {
    let mut legs = legs.to_vec();
    legs.sort_by_key(|it| it.designator.flight);
    let mut out = Vec::new();
    let mut writer = SsimWriter::new(UtcTime(845_000_000_000_000));
    for leg in &legs {
        writer.leg(leg, &mut out)?;
    }
    writer.finish(&mut out)?;
    Ok(out)
}

fn read(file: &[u8]) -> Vec<Leg> {
    samples::load(file)
        .unwrap_or_else(|refused| panic!("{refused:?}\n{}", String::from_utf8_lossy(file)))
}

fn by_id(legs: &[Leg]) -> BTreeMap<LegId, Leg> {
    legs.iter().map(|it| (it.id, *it)).collect()
}

/// Legs that came from SSIM come back, ids included.
pub(crate) fn assert_round_trip(legs: &[Leg]) {
    let again = read(&write(legs).unwrap());
    assert_eq!(again.len(), legs.len());
    assert_eq!(by_id(&again), by_id(legs));
}

fn records(file: &[u8], record_type: u8) -> usize {
    file.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&record_type)).count()
}

#[test]
fn the_examples_come_back_in_as_many_records() {
    for name in ["example_local.ssim", "example_utc.ssim"] {
        let legs = samples::load(&samples::example(name)).unwrap();
        assert_round_trip(&legs);
        assert_eq!(records(&write(&legs).unwrap(), b'3'), 5);
    }
}

#[test]
fn the_samples_come_back() {
    let Some(folder) = samples::shared("data/ssim") else { return };
    for name in ["hr_2015_codeshare.ssim", "me_2022_netline.ssim"] {
        assert_round_trip(&samples::load(&std::fs::read(folder.join(name)).unwrap()).unwrap());
    }
}

#[test]
fn a_schedule_without_legs_is_a_file_without_legs() {
    assert_eq!(read(&write(&[]).unwrap()), []);
}

const DAY: i32 = 9800;

/// A leg that departs at `minutes` UTC after the midnight at which `day` starts.
fn leg(number: i64, day: i32, minutes: i64, length: i64, stations: (&str, &str)) -> Leg {
    let flight = FlightId {
        carrier: "LH".parse().unwrap(),
        number: FlightNumber::new(number).unwrap(),
        suffix: "".parse().unwrap(),
    };
    let time = |minutes| UtcTime::at_minute(DayOfOrigin(day), minutes).unwrap();
    let designator = FlightDesignator {
        flight,
        departure_airport: stations.0.parse().unwrap(),
        day_of_origin: DayOfOrigin(day),
    };
    Leg {
        id: leg_id(&designator, 1, 1),
        designator,
        arrival_airport: stations.1.parse().unwrap(),
        block: BlockTime::new(time(minutes), time(minutes + length)).unwrap(),
        departure_utc_offset_minutes: 0,
        arrival_utc_offset_minutes: 0,
        leg_sequence: 1,
        itinerary_variation: 1,
        service_type: "J".parse().unwrap(),
        aircraft_type: None,
    }
}

/// The leg with what makes it differ from what it was planned as.
fn planned(mut it: Leg, sequence: i32, variation: i32) -> Leg {
    (it.leg_sequence, it.itinerary_variation) = (sequence, variation);
    it.id = leg_id(&it.designator, sequence, variation);
    it
}

#[test]
fn equal_legs_on_irregular_days_need_further_blocks() {
    let legs: Vec<Leg> = [0, 1, 2, 3, 5, 9, 30, 44, 58]
        .map(|day| leg(400, DAY + day, 480, 60, ("FRA", "MUC")))
        .to_vec();
    assert_round_trip(&legs);
    let file = write(&legs).unwrap();
    assert_eq!(records(&file, b'2'), records(&file, b'3'), "each record in a block of its own");
}

#[test]
fn a_day_of_origin_of_utc_needs_a_block_in_utc() {
    let mut early = leg(400, DAY, 23 * 60, 60, ("FRA", "MUC"));
    early.departure_utc_offset_minutes = 120;
    early.arrival_utc_offset_minutes = 120;
    let other = leg(401, DAY, 480, 60, ("MUC", "FRA"));
    assert_round_trip(&[early, other]);
    let file = write(&[early, other]).unwrap();
    let modes: Vec<u8> = file
        .split(|byte| *byte == b'\n')
        .filter(|line| line.first() == Some(&b'2'))
        .map(|line| line[1])
        .collect();
    assert_eq!(modes, b"LU");
}

#[test]
fn legs_of_a_flight_stay_together() {
    let first = planned(leg(400, DAY, 480, 60, ("FRA", "MUC")), 1, 7);
    let second = planned(leg(400, DAY, 600, 60, ("MUC", "JFK")), 2, 7);
    assert_round_trip(&[first, second]);
}

#[test]
fn a_later_leg_without_its_first_becomes_the_first() {
    let second = planned(leg(400, DAY, 600, 60, ("MUC", "JFK")), 2, 7);
    let again = read(&write(&[second]).unwrap());
    assert_eq!(again, [planned(second, 1, 7)]);
}

#[test]
fn legs_of_one_flight_that_all_say_they_are_the_first_come_back() {
    let mut second = leg(400, DAY, 600, 60, ("MUC", "JFK"));
    assert_round_trip(&[leg(400, DAY, 480, 60, ("FRA", "MUC")), second]);
    // A leg of the next day can only follow.
    second.block = leg(400, DAY + 1, 600, 60, ("MUC", "JFK")).block;
    let again = read(&write(&[leg(400, DAY, 480, 60, ("FRA", "MUC")), second]).unwrap());
    assert_eq!(again[1], planned(second, 2, 1));
}

#[test]
fn legs_with_the_same_designator_are_all_written() {
    let one = leg(400, DAY, 480, 60, ("FRA", "MUC"));
    let other =
        Leg { id: LegId(uuid::Uuid::from_u128(5)), ..leg(400, DAY, 600, 60, ("FRA", "MUC")) };
    let again = read(&write(&[one, other]).unwrap());
    assert_eq!(again.len(), 2);
    assert_eq!(by_id(&again).len(), 2);
    assert_eq!(again.iter().map(|it| it.block).collect::<Vec<_>>(), [one.block, other.block]);
}

#[test]
fn what_ssim_cannot_say_is_refused() {
    let good = leg(400, DAY, 480, 60, ("FRA", "MUC"));
    let refused = |change: fn(&mut Leg)| {
        let mut leg = good;
        change(&mut leg);
        write(&[leg]).unwrap_err().reason
    };
    let times = |it: &Leg, arrival: i64| {
        BlockTime::new(it.block.departure(), UtcTime(it.block.departure().0 + arrival)).unwrap()
    };
    assert!(
        refused(|it| it.block =
            BlockTime::new(it.block.departure(), UtcTime(it.block.departure().0 + 1)).unwrap())
        .contains("minutes")
    );
    let mut long = good;
    long.block = times(&good, 25 * 3_600_000_000);
    assert_eq!(
        write(&[long]).unwrap_err().to_string(),
        "could not write leg LH400 FRA of 2026-10-31 as SSIM: it takes more than 24 hours"
    );
    assert!(refused(|it| it.departure_utc_offset_minutes = 900).contains("offset"));
    assert!(
        refused(|it| it.aircraft_type = Some("A20N".parse().unwrap())).contains("aircraft type")
    );
    assert!(
        refused(|it| it.arrival_airport = it.designator.departure_airport)
            .contains("arrives where")
    );
    assert!(
        refused(|it| it.designator.flight.carrier = "A1B".parse().unwrap()).contains("carrier")
    );
    assert!(refused(|it| it.designator.day_of_origin = DayOfOrigin(40_000)).contains("1970"));
    assert!(
        refused(|it| it.designator.day_of_origin = DayOfOrigin(DAY - 3)).contains("another day")
    );
}

fn any_leg() -> impl Strategy<Value = Leg> {
    let stations = prop_oneof![Just(("FRA", "MUC")), Just(("MUC", "JFK")), Just(("JFK", "FRA"))];
    let offsets = prop_oneof![Just((0, 0)), Just((60, 120)), Just((-720, 840))];
    let key = (1..4_i64, prop_oneof![Just("LH"), Just("3K")], "|D");
    (
        key,
        0..30_i32,
        0..72_i64,
        1..24_i64,
        stations,
        offsets,
        1..4_i32,
        prop_oneof![1..3_i32, Just(100), Just(999)],
    )
        .prop_map(
            |(
                (number, carrier, suffix),
                day,
                half_hours,
                length,
                stations,
                offsets,
                sequence,
                variation,
            )| {
                let mut it = leg(number, DAY + day, half_hours * 30, length * 60, stations);
                it.designator.flight.carrier = carrier.parse().unwrap();
                it.designator.flight.suffix = suffix.parse().unwrap();
                (it.departure_utc_offset_minutes, it.arrival_utc_offset_minutes) = offsets;
                planned(it, sequence, variation)
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(legs in proptest::collection::vec(any_leg(), 0..60)) {
        // Legs that no record can say are left out.
        let legs: Vec<Leg> = legs.into_iter().filter(|it| write(&[planned(*it, 1, 1)]).is_ok()).collect();
        let again = read(&write(&legs).unwrap());
        prop_assert_eq!(by_id(&again).len(), legs.len(), "each leg has an id of its own");
        // Beside the numbers that had to change, all is the same.
        let said = |legs: &[Leg]| {
            let mut said: Vec<String> = legs.iter().map(|it| format!("{:?}", planned(*it, 1, 1))).collect();
            said.sort();
            said
        };
        prop_assert_eq!(said(&again), said(&legs));
    }
}
