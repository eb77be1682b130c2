//! What good files mean.

use std::fmt::Write as _;
use std::time::Instant;

use proptest::prelude::*;
use rotabase::ssim::{SsimOptions, SsimReader, leg_id};
use rotabase_engine::schedule::{DayOfOrigin, Leg};

use crate::samples::{self, Good};

/// A leg as `example_expected_legs.csv` has it, without the file's name.
fn row(leg: &Leg) -> String {
    let minute = |time: rotabase_engine::schedule::UtcTime| time.to_string().replace(":00Z", "Z");
    format!(
        "{},{},{},{},{},{},{},{},{}",
        leg.carrier(),
        leg.flight_number(),
        leg.suffix(),
        leg.leg_sequence,
        leg.designator.departure_airport,
        leg.arrival_airport,
        leg.designator.day_of_origin,
        minute(leg.block.departure()),
        minute(leg.block.arrival())
    )
}

#[test]
fn the_examples_give_the_expected_legs() {
    let expected = String::from_utf8(samples::example("example_expected_legs.csv")).unwrap();
    for name in ["example_local.ssim", "example_utc.ssim"] {
        let mut rows: Vec<String> =
            samples::load(&samples::example(name)).unwrap().iter().map(row).collect();
        let of_file = expected
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{name},")).map(str::to_owned));
        let mut of_file: Vec<String> = of_file.collect();
        rows.sort();
        of_file.sort();
        assert_eq!(rows, of_file);
        assert_eq!(rows.len(), 17);
    }
}

#[test]
fn a_leg_has_all_that_its_record_says() {
    let legs = samples::load(&samples::example("example_local.ssim")).unwrap();
    let first = legs[0];
    assert_eq!((first.departure_utc_offset_minutes, first.arrival_utc_offset_minutes), (60, 330));
    assert_eq!((first.leg_sequence, first.itinerary_variation), (1, 1));
    assert_eq!(first.service_type.as_str(), "J");
    assert_eq!(first.aircraft_type.unwrap().as_str(), "789");
    assert_eq!(first.id, leg_id(&first.designator, 1, 1));
    // For ever: loading a file again has to find the legs that it made.
    assert_eq!(first.id.to_string(), "03ef5827-9316-5cb8-9bf8-be6b3243703c");
}

#[test]
fn the_samples_are_accepted_or_refused_as_they_deserve() {
    let Some(folder) = samples::shared("data/ssim") else { return };
    let load = |name: &str| samples::load(&std::fs::read(folder.join(name)).unwrap());
    assert_eq!(load("example_local.ssim").unwrap().len(), 17);
    assert_eq!(load("example_utc.ssim").unwrap().len(), 17);
    assert_eq!(load("hr_2015_codeshare.ssim").unwrap().len(), 162);
    assert_eq!(load("me_2022_netline.ssim").unwrap().len(), 168);
    let mut refused = String::new();
    for name in [
        "gna_duplicates_crlf",
        "schiphol_2018_utc",
        "ssimparser_af_test",
        "ssim_editor_blank_serials",
        "oag_ca_open_period_fragment",
    ] {
        let errors = load(&format!("{name}.ssim")).unwrap_err().errors;
        let errors: Vec<String> =
            errors.iter().map(|it| format!("{}/{} {}", it.record, it.byte, it.code)).collect();
        writeln!(refused, "{name}: {}", errors.join(", ")).unwrap();
    }
    assert_eq!(refused, REFUSED);
}

/// The faults of the samples: record, byte and code.
const REFUSED: &str = "\
gna_duplicates_crlf: 1/192 E111, 13/10 E328, 14/10 E328, 15/15 E325, 16/15 E325, 18/188 E501
schiphol_2018_utc: 11/12 E304, 12/3 E301, 13/3 E301, 14/2 E400, 15/3 E301, 16/2 E400, 17/3 E301, 18/3 E301, 21/195 E106
ssimparser_af_test: 12/29 E401, 13/29 E401, 14/29 E401, 15/10 E328, 17/1 E006
ssim_editor_blank_serials: 1/192 E111, 3/195 E105, 7/3 E301, 8/195 E105
oag_ca_open_period_fragment: 1/1 E002, 2/1 E004, 3/195 E106, 4/195 E106, 5/1 E005, 6/195 E106, 7/1 E006
";

#[test]
fn blank_date_variations_are_inferred() {
    let mut good = Good::new();
    let all = good.load().unwrap();
    for record in [11, 12, 14, 15, 16] {
        good.put(record, 193, "  ");
    }
    assert_eq!(good.load().unwrap(), all, "every leg of the example is shorter than a day");
}

#[test]
fn a_later_leg_with_other_days_departs_on_the_day_of_origin() {
    let mut good = Good::new();
    good.put(12, 15, "02NOV2608NOV261 3 5 7");
    good.put(12, 193, "  ");
    // Departing at 11:35 of the day of origin would be before the leg before arrives.
    assert_eq!(good.load().unwrap_err().errors[0].code, "E324");
    good.put(12, 44, "2335");
    good.put(12, 48, "+0530");
    good.remove(11);
    good.put(11, 12, "01");
    good.put(12, 12, "01");
    good.renumber();
    let legs = good.load().unwrap();
    assert_eq!(legs[0].designator.day_of_origin, DayOfOrigin::from_calendar(2026, 11, 2).unwrap());
    assert_eq!(legs[0].block.arrival().to_string(), "2026-11-03T10:10:00Z");
}

#[test]
fn an_open_period_ends_with_the_validity_or_the_horizon() {
    let mut good = Good::new();
    good.put(14, 15, "00XXX0000XXX00");
    // RB901 on Mondays; the carrier record is valid from 1 to 30 November.
    let days = |legs: &[Leg]| legs.iter().filter(|it| it.flight_number().get() == 901).count();
    assert_eq!(days(&good.load().unwrap()), 5);
    good.put(6, 22, "00XXX00");
    let refused = good.load().unwrap_err();
    assert_eq!(
        (refused.errors[0].code, refused.errors[0].record, refused.errors[0].byte),
        ("E326", 14, 22)
    );
    let options =
        SsimOptions { horizon: DayOfOrigin::from_calendar(2026, 12, 31), ..SsimOptions::default() };
    assert_eq!(days(&samples::load_in_pieces(&good.file(), 1000, options).unwrap()), 9);
}

#[test]
fn an_overflow_adds_hundreds_to_the_variation() {
    let mut good = Good::new();
    good.put(14, 128, "1");
    good.put(15, 128, "1");
    good.put(15, 10, "00");
    let legs = good.load().unwrap();
    let variation = |flight| {
        legs.iter().find(|it| it.flight_number().get() == flight).unwrap().itinerary_variation
    };
    assert_eq!((variation(901), variation(903)), (101, 100));
}

#[test]
fn an_arrival_at_0000_is_the_start_of_its_day() {
    let mut good = Good::new();
    let all = good.load().unwrap();
    good.put(16, 58, "0000");
    good.put(16, 194, "1");
    assert_eq!(good.load().unwrap(), all);
}

#[test]
fn equipment_that_varies_is_no_aircraft_type() {
    let mut good = Good::new();
    good.put(14, 73, "EQV");
    assert!(good.load().unwrap().iter().any(|it| it.aircraft_type.is_none()));
}

#[test]
fn line_ends_do_not_matter() {
    let good = Good::new();
    let all = good.load().unwrap();
    let crlf = good.0.join(&b"\r\n"[..]);
    let tape = good.0.concat();
    for file in [crlf, tape] {
        for piece in [1, 7, 200, 201, 202, 100_000] {
            assert_eq!(samples::load_in_pieces(&file, piece, SsimOptions::default()).unwrap(), all);
        }
    }
}

#[test]
fn several_airlines_and_blocks_follow_one_another() {
    let mut good = Good::new();
    let block: Vec<Vec<u8>> = good.0[5..].to_vec();
    good.put(21, 194, "C");
    good.0.extend(block);
    good.renumber();
    let legs = good.load().unwrap();
    assert_eq!(legs.len(), 34);
    assert_eq!(legs[..17], legs[17..]);
}

#[test]
fn serial_numbers_go_on_after_the_last() {
    let good = Good::new();
    let mut reader = SsimReader::new(SsimOptions::default());
    let mut legs = 0;
    let mut line = |text: &[u8]| {
        reader.feed(text, &mut |_| legs += 1);
        reader.feed(b"\n", &mut |_| legs += 1);
    };
    for record in [1, 6, 11, 12] {
        line(&good.0[record - 1]);
    }
    let mut segment = good.0[12].clone();
    for serial in (5..1_000_000).chain(2..9) {
        segment[194..200].copy_from_slice(format!("{serial:06}").as_bytes());
        line(&segment);
    }
    let mut trailer = good.0[20].clone();
    trailer[187..193].copy_from_slice(b"000008");
    trailer[194..200].copy_from_slice(b"000009");
    line(&trailer);
    let summary = reader.finish(&mut |_| ()).unwrap();
    assert_eq!((summary.legs, legs), (8, 8));
}

#[test]
fn the_number_of_legs_is_bounded() {
    let options = SsimOptions { legs_max: 16, ..SsimOptions::default() };
    let refused =
        samples::load_in_pieces(&samples::example("example_local.ssim"), 100, options).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "record 15, byte 15: E010 the file has more than 16 dated legs"
    );
}

#[test]
fn a_generated_schedule_loads() {
    let Some(tool) = samples::shared("tools/make_ssim.py") else { return };
    for extra in [
        &["--time-mode", "L"][..],
        &["--time-mode", "U"],
        &["--carriers", "4", "--date-variation", "never"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let arguments =
            ["--legs", "4000", "--airplanes", "20", "--seed", "3", "--violations", "3", "--quiet"];
        let run = std::process::Command::new("python3")
            .arg(&tool)
            .arg("--out")
            .arg(folder.path())
            .args(arguments)
            .args(extra)
            .status();
        if !run.is_ok_and(|status| status.success()) {
            return;
        }
        let answer = std::fs::read_to_string(folder.path().join("answer_key.json")).unwrap();
        let dated = answer.split_once("\"dated_legs\": ").unwrap().1.split_once(',').unwrap().0;
        let file = std::fs::read(folder.path().join("schedule.ssim")).unwrap();
        let legs = samples::load(&file).unwrap();
        assert_eq!(legs.len().to_string(), dated);
        crate::round_trip::assert_round_trip(&legs);
    }
}

/// Not a bound that a slow machine could miss, but a number to look at.
#[test]
fn a_long_record_expands_quickly() {
    let mut good = Good::new();
    good.put(6, 22, "31OCT36");
    good.put(14, 22, "31OCT36");
    let start = Instant::now();
    let legs = good.load().unwrap();
    println!("{} legs in {:?}", legs.len(), start.elapsed());
    assert_eq!(legs.len(), 12 + 522);
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same(piece in 1..450_usize, crlf: bool, cut in 0..5200_usize) {
        let good = Good::new();
        let mut file = good.0.join(if crlf { &b"\r\n"[..] } else { &b"\n"[..] });
        file.truncate(cut);
        let whole = samples::load(&file);
        prop_assert_eq!(samples::load_in_pieces(&file, piece, SsimOptions::default()), whole);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..900), piece in 1..300_usize) {
        let _ = samples::load_in_pieces(&bytes, piece, SsimOptions::default());
    }

    #[test]
    fn any_change_of_a_good_file_is_refused_or_read(
        changes in proptest::collection::vec((0..24_usize, 0..200_usize, "[ 0-9A-Z+-]{1,4}"), 1..4)
    ) {
        let mut good = Good::new();
        for (record, byte, text) in changes {
            let byte = byte.min(200 - text.len());
            good.put(record + 1, byte + 1, &text);
        }
        let _ = good.load();
    }
}
