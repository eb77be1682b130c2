//! Every fault has its code, and is found where it is.

use crate::samples::{Good, load};

/// Changes the good file and gives the first fault, up to its code.
fn fault(change: impl FnOnce(&mut Good)) -> String {
    let mut good = Good::new();
    assert!(good.load().is_ok());
    change(&mut good);
    first(&good.file())
}

fn first(file: &[u8]) -> String {
    let refused = load(file).expect_err("the file is bad");
    let error = &refused.errors[0];
    assert_eq!(u64::try_from(refused.errors.len()).unwrap(), refused.count.min(20));
    assert!(!error.text.is_empty());
    format!("record {}, byte {}: {}", error.record, error.byte, error.code)
}

fn put(record: usize, byte: usize, text: &str) -> String {
    fault(|good| good.put(record, byte, text))
}

#[test]
fn faults_of_the_whole_file() {
    assert_eq!(first(b""), "record 1, byte 1: E001");
    assert_eq!(fault(|good| good.remove(1)), "record 5, byte 1: E002");
    assert_eq!(
        fault(|good| {
            good.copy(1, 7);
            good.renumber();
            good.put(7, 195, "000001");
        }),
        "record 7, byte 1: E003"
    );
    assert_eq!(fault(|good| good.0.truncate(5)), "record 6, byte 1: E004");
    for (record, text) in [
        (11, "record 10, byte 1: E004"),
        (13, "record 10, byte 1: E004"),
        (21, "record 10, byte 1: E004"),
    ] {
        let misplaced = fault(|good| {
            let line = good.0[record - 1].clone();
            good.0.drain(5..);
            good.0.extend(std::iter::repeat_n(vec![b'0'; 200], 4));
            good.0.push(line);
            good.renumber();
        });
        assert_eq!(misplaced, text);
    }
    assert_eq!(
        fault(|good| {
            good.copy(6, 14);
            good.renumber();
        }),
        "record 14, byte 1: E005"
    );
    assert_eq!(fault(|good| good.0.truncate(20)), "record 21, byte 1: E006");
    assert_eq!(
        fault(|good| {
            let block = good.0[5..].to_vec();
            good.0.extend(block);
            good.renumber();
        }),
        "record 21, byte 194: E007"
    );
    assert_eq!(put(21, 194, "C"), "record 21, byte 194: E008");
    assert_eq!(
        fault(|good| {
            good.copy(13, 11);
            good.renumber();
        }),
        "record 11, byte 1: E009"
    );
}

#[test]
fn faults_of_any_record() {
    let shorter = |good: &mut Good| good.0[13].truncate(150);
    assert_eq!(fault(shorter), "record 14, byte 151: E100");
    assert_eq!(fault(|good| good.0[13].push(b' ')), "record 14, byte 201: E100");
    assert_eq!(fault(|good| good.0[1].truncate(199)), "record 2, byte 200: E100");
    for (byte, name) in
        [(0_u8, "NUL"), (9, "TAB"), (0x1a, "Ctrl-Z"), (0x80, "a high byte"), (0xff, "a higher one")]
    {
        let change = |good: &mut Good| good.0[13][99] = byte;
        assert_eq!(fault(change), "record 14, byte 100: E101", "{name}");
    }
    let mut file = b"\xef\xbb\xbf".to_vec();
    file.extend(Good::new().file());
    assert_eq!(first(&file), "record 1, byte 1: E101");
    assert_eq!(load(&file).unwrap_err().count, 1, "nothing else is wrong");
    assert_eq!(put(14, 39, "l"), "record 14, byte 39: E102");
    assert_eq!(put(13, 31, "a"), "record 13, byte 31: E102");
    let mut good = Good::new();
    good.put(6, 36, "Winter");
    good.put(6, 8, "r");
    good.put(13, 50, "e-ticket");
    assert!(good.load().is_ok(), "free text and spare bytes may hold lower case");
    assert_eq!(put(14, 1, "6"), "record 14, byte 1: E103");
    assert_eq!(put(14, 1, " "), "record 14, byte 1: E103");
    assert_eq!(put(8, 120, "1"), "record 8, byte 120: E104");
    assert_eq!(put(14, 195, "0000 6"), "record 14, byte 195: E105");
    assert_eq!(put(1, 195, "      "), "record 1, byte 195: E105");
    assert_eq!(put(14, 195, "000007"), "record 14, byte 195: E106");
    assert_eq!(fault(|good| good.0.insert(9, Vec::new())), "record 10, byte 1: E107");
    assert_eq!(fault(|good| good.0.push(Vec::new())), "record 26, byte 1: E107");
    assert_eq!(fault(|good| good.0[8] = vec![b' '; 200]), "record 9, byte 1: E107");
}

#[test]
fn faults_of_the_header() {
    assert_eq!(put(1, 10, "X"), "record 1, byte 2: E110");
    assert_eq!(put(1, 192, "   "), "record 1, byte 192: E111");
    assert_eq!(put(1, 195, "000002"), "record 1, byte 195: E112");
}

#[test]
fn faults_of_the_carrier() {
    assert_eq!(put(6, 2, " "), "record 6, byte 2: E200");
    for airline in ["R  ", " RB", "R1B", "12A", "R-B", "R B"] {
        assert_eq!(put(6, 3, airline), "record 6, byte 3: E201", "{airline}");
    }
    for date in ["30FEB26", "00XXX00", "       "] {
        assert_eq!(put(6, 15, date), "record 6, byte 15: E202", "{date}");
    }
    assert_eq!(put(6, 22, "31NOV26"), "record 6, byte 22: E203");
    assert_eq!(put(6, 22, "31OCT26"), "record 6, byte 15: E204");
    assert_eq!(put(6, 29, "27AUG  "), "record 6, byte 29: E205");
    assert_eq!(put(6, 65, "27AUG2X"), "record 6, byte 65: E206");
    assert!(Good::new().load().is_ok());
    assert_eq!(put(6, 72, "X"), "record 6, byte 72: E207");
    assert_eq!(put(6, 191, "2400"), "record 6, byte 191: E208");
}

#[test]
fn faults_of_a_leg_in_its_key() {
    assert_eq!(put(14, 2, "1"), "record 14, byte 2: E300");
    assert_eq!(put(14, 3, "RC "), "record 14, byte 3: E301");
    for number in ["0000", "    ", "90 1", "901 ", "9X01", " 0 1"] {
        assert_eq!(put(14, 6, number), "record 14, byte 6: E302", "{number}");
    }
    for variation in ["00", " 1", "X1", "  "] {
        assert_eq!(put(14, 10, variation), "record 14, byte 10: E303", "{variation}");
    }
    for sequence in ["00", " 1", "02", "03"] {
        assert_eq!(put(14, 12, sequence), "record 14, byte 12: E304", "{sequence}");
    }
    assert_eq!(
        fault(|good| {
            good.put(12, 12, "03");
            good.put(13, 12, "03");
        }),
        "record 12, byte 12: E304"
    );
    assert_eq!(put(14, 14, "1"), "record 14, byte 14: E305");
    assert_eq!(put(14, 128, "X"), "record 14, byte 128: E319");
    let twice = |good: &mut Good| {
        good.copy(14, 16);
        good.renumber();
    };
    assert_eq!(fault(twice), "record 16, byte 10: E328");
}

#[test]
fn faults_of_a_leg_in_its_period() {
    for date in ["30FEB26", "00NOV26", "02XYZ26", "2 NOV26", "       "] {
        assert_eq!(put(14, 15, date), "record 14, byte 15: E306", "{date}");
        assert_eq!(put(14, 22, date), "record 14, byte 22: E307", "{date}");
    }
    assert_eq!(put(14, 22, "01NOV26"), "record 14, byte 15: E308");
    for days in ["       ", "2      ", "0      ", ".......", "X      ", "135    "] {
        assert_eq!(put(14, 29, days), "record 14, byte 29: E309", "{days}");
    }
    assert_eq!(put(15, 29, " 23    "), "record 15, byte 29: E310");
    assert_eq!(put(14, 36, "1"), "record 14, byte 36: E311");
    assert_eq!(put(16, 15, "00XXX00"), "record 16, byte 36: E312");
    assert_eq!(put(16, 22, "00XXX00"), "record 16, byte 36: E312");
    assert_eq!(put(16, 15, "01NOV26"), "record 16, byte 36: E312");
    assert_eq!(put(14, 15, "26OCT26"), "record 14, byte 15: E325");
    assert_eq!(put(14, 22, "07DEC26"), "record 14, byte 15: E325");
    let open = |good: &mut Good| {
        good.put(6, 22, "00XXX00");
        good.put(14, 22, "00XXX00");
    };
    assert_eq!(fault(open), "record 14, byte 22: E326");
    let long = |good: &mut Good| {
        good.put(6, 22, "31DEC69");
        good.put(14, 22, "31DEC69");
    };
    assert_eq!(fault(long), "record 14, byte 15: E329");
}

#[test]
fn faults_of_a_leg_in_its_stations_and_times() {
    assert_eq!(put(14, 37, "A1L"), "record 14, byte 37: E313");
    assert_eq!(put(14, 55, "   "), "record 14, byte 55: E313");
    assert_eq!(put(14, 55, "AKL"), "record 14, byte 55: E314");
    let training = |good: &mut Good| {
        good.put(14, 14, "K");
        good.put(14, 55, "AKL");
    };
    let mut good = Good::new();
    training(&mut good);
    assert!(good.load().is_ok(), "a training flight may come back");
    for byte in [40, 44, 58, 62] {
        for time in ["2460", "2500", "1260", "    ", "1X00"] {
            assert_eq!(put(14, byte, time), format!("record 14, byte {byte}: E315"), "{time}");
        }
    }
    assert_eq!(put(14, 40, "2400"), "record 14, byte 40: E315");
    assert_eq!(put(14, 44, "2400"), "record 14, byte 44: E315");
    for byte in [48, 66] {
        for variation in ["+1401", "-1201", " 0100", "+0160", "+100 ", "01:00"] {
            assert_eq!(
                put(14, byte, variation),
                format!("record 14, byte {byte}: E316"),
                "{variation}"
            );
        }
    }
    assert_eq!(put(14, 73, "32 "), "record 14, byte 73: E317");
    let classless = |good: &mut Good| {
        good.put(14, 76, &" ".repeat(20));
        good.put(14, 173, &" ".repeat(20));
    };
    assert_eq!(fault(classless), "record 14, byte 76: E318");
    assert_eq!(put(14, 193, "8"), "record 14, byte 193: E320");
    assert_eq!(put(14, 194, "J"), "record 14, byte 194: E320");
    assert_eq!(put(14, 193, " "), "record 14, byte 193: E320");
    assert_eq!(put(14, 194, " "), "record 14, byte 194: E320");
    assert_eq!(put(11, 194, "0"), "record 11, byte 194: E321");
    assert_eq!(put(14, 194, "2"), "record 14, byte 194: E321");
    assert_eq!(put(14, 193, "1"), "record 14, byte 193: E322");
    assert_eq!(
        fault(|good| {
            good.put(12, 37, "BOM");
        }),
        "record 12, byte 37: E323"
    );
    assert_eq!(put(12, 44, "0930"), "record 12, byte 44: E324");
    assert_eq!(put(12, 138, "   "), "record 12, byte 138: E327");
    assert_eq!(put(12, 141, "    "), "record 12, byte 138: E327");
    assert_eq!(put(12, 145, "X"), "record 12, byte 138: E327");
    assert_eq!(put(15, 145, "1"), "record 15, byte 138: E327");
}

#[test]
fn faults_of_segment_data() {
    for (byte, text) in
        [(2, "A"), (3, "XX "), (6, "   1"), (10, "02"), (12, "01"), (14, "F"), (28, "1")]
    {
        assert_eq!(put(13, byte, text), "record 13, byte 2: E400", "byte {byte}");
    }
    assert_eq!(put(13, 29, "1"), "record 13, byte 29: E401");
    assert_eq!(put(13, 30, " "), "record 13, byte 30: E401");
    assert_eq!(put(13, 29, "CB"), "record 13, byte 29: E401");
    assert_eq!(put(13, 31, "50X"), "record 13, byte 31: E402");
    assert_eq!(put(13, 34, "D L"), "record 13, byte 34: E403");
    assert_eq!(put(13, 37, "BK1"), "record 13, byte 37: E403");
}

#[test]
fn faults_of_the_trailer() {
    assert_eq!(put(21, 3, "XX "), "record 21, byte 3: E500");
    assert_eq!(put(21, 188, "000009"), "record 21, byte 188: E501");
    assert_eq!(put(21, 188, "      "), "record 21, byte 188: E501");
    assert_eq!(put(21, 194, "X"), "record 21, byte 194: E502");
    assert_eq!(put(21, 6, "27AUX26"), "record 21, byte 6: E503");
}

#[test]
fn a_fault_says_what_the_field_holds() {
    let mut good = Good::new();
    good.put(15, 15, "02NOV2603NOV26 23    ");
    assert_eq!(
        good.load().unwrap_err().to_string(),
        "record 15, byte 29: E310 days of operation: day 3 does not occur between 02NOV26 and 03NOV26: \" 23    \""
    );
}

#[test]
fn the_first_twenty_bad_records_are_listed_and_others_counted() {
    let mut good = Good::new();
    for number in 0..30 {
        good.copy(14, 15 + number);
    }
    good.renumber();
    let refused = good.load().unwrap_err();
    assert_eq!((refused.errors.len(), refused.count), (20, 30));
    assert!(refused.errors.iter().all(|it| it.code == "E328"));
}

#[test]
fn one_bad_record_is_one_fault() {
    for (record, byte, text) in [
        (11, 37, "F1A"),
        (11, 6, "XXXX"),
        (11, 58, "9999"),
        (6, 2, "X"),
        (6, 15, "XXXXXXX"),
        (14, 195, "999999"),
    ] {
        let mut good = Good::new();
        good.put(record, byte, text);
        let refused = good.load().unwrap_err();
        let rest = u64::from((record, byte) == (14, 195));
        assert_eq!(refused.count, 1 + rest, "{refused:?}");
    }
    for record in [1, 6, 11, 12, 13, 14, 21] {
        let mut good = Good::new();
        good.0[record - 1].truncate(100);
        assert_eq!(good.load().unwrap_err().count, 1, "record {record}: {:?}", good.load());
    }
}
