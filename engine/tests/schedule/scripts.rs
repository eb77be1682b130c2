//! Runs the scripts in `tests/scripts`: commands above the line, all that came of them below.
//!
//! A command is named as the domain names it; its first argument is the aggregate: an airport's code, a
//! registration, `R1` for a rotation, a flight such as `LH400`. A leg is given as
//! `1 LH400 FRA MUC dep=0800 arr=0900`: a short id, its flight, its airports, and UTC times of 2026-03-29
//! (`0100@1` is the day after). `state` prints the aggregate. `UPDATE_GOLDENFILES=1` writes what comes out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{ArgumentConsumer, Runner};
use rotabase_engine::domain::Domain;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, AircraftType, BlockTime, Command, DayOfOrigin, Event, FlightDesignator, FlightId,
    FlightNumber, Leg, LegId, MinimumGroundTime, RotationId, Schedule, State, Suffix, UtcTime,
    event_name, payload_json,
};
use uuid::Uuid;

type Fallible<T> = Result<T, Box<dyn Error>>;

#[test]
fn the_scripts_of_the_domain_hold() {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("tests/scripts");
    let mut count = 0;
    for aggregate in ["airport", "airplane", "rotation", "flight"] {
        let mut scripts: Vec<_> =
            std::fs::read_dir(root.join(aggregate)).unwrap().map(|it| it.unwrap().path()).collect();
        scripts.sort();
        for script in scripts {
            goldenscript::run(&mut Aggregates::default(), &script)
                .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
            count += 1;
        }
    }
    assert!(count >= 12, "the scripts are found");
}

#[derive(Default)]
struct Aggregates {
    states: BTreeMap<AggregateId, (State, Version)>,
}

impl Runner for Aggregates {
    fn run(&mut self, command: &goldenscript::Command) -> Fallible<String> {
        let mut args = command.consume_args();
        let id = aggregate(&args.next_pos().ok_or("which aggregate?")?.value)?;
        let (state, version) =
            self.states.entry(id).or_insert_with(|| (Schedule::initial(&id), Version::default()));
        if command.name == "state" {
            args.reject_rest()?;
            return Ok(state_text(state, *version));
        }
        let decided = domain_command(&command.name, &mut args)?;
        args.reject_rest()?;
        let mut output = String::new();
        for event in Schedule::decide(&id, state, &decided)? {
            Schedule::evolve(state, &event);
            *version = version.next();
            writeln!(output, "{version}: {}", event_text(&event))?;
        }
        if output.is_empty() {
            output.push_str("nothing changes\n");
        }
        Ok(output)
    }
}

fn domain_command(name: &str, args: &mut ArgumentConsumer) -> Fallible<Command> {
    Ok(match name {
        "RegisterAirport" => Command::RegisterAirport(ground_time(&text(args, "minutes")?)?),
        "ChangeAirportMinimumGroundTime" => {
            Command::ChangeAirportMinimumGroundTime(ground_time(&text(args, "minutes")?)?)
        }
        "RemoveAirport" => Command::RemoveAirport,
        "RegisterAirplane" => Command::RegisterAirplane {
            aircraft_type: aircraft_type(args)?.flatten(),
            minimum_ground_time: minimum(args)?.unwrap_or_default(),
        },
        "ChangeAirplane" => Command::ChangeAirplane {
            aircraft_type: aircraft_type(args)?,
            minimum_ground_time: minimum(args)?,
        },
        "RemoveAirplane" => Command::RemoveAirplane,
        "AssignRotation" => Command::AssignRotation(rotation(&text(args, "rotation")?)?),
        "UnassignRotation" => {
            Command::UnassignRotation(args.next_pos().map(|it| rotation(&it.value)).transpose()?)
        }
        "CreateRotation" => Command::CreateRotation(args.next_pos().map(|it| it.value.clone())),
        "RenameRotation" => Command::RenameRotation(args.next_pos().map(|it| it.value.clone())),
        "RemoveRotation" => Command::RemoveRotation,
        "RequireRotation" => Command::RequireRotation,
        "AddLeg" => Command::AddLeg(leg(args)?),
        "RescheduleLeg" => {
            let (leg, expected) = leg_and_before(args)?;
            Command::RescheduleLeg { leg, expected }
        }
        "RemoveLeg" => {
            let (id, expected) = expected_leg(args)?;
            Command::RemoveLeg { id, expected }
        }
        "ScheduleOpenLeg" => Command::ScheduleOpenLeg(leg(args)?),
        "RescheduleOpenLeg" => {
            let (leg, expected) = leg_and_before(args)?;
            Command::RescheduleOpenLeg { leg, expected }
        }
        "CancelOpenLeg" => {
            let (id, expected) = expected_leg(args)?;
            Command::CancelOpenLeg { id, expected }
        }
        unknown => return Err(format!("unknown command {unknown}").into()),
    })
}

fn text(args: &mut ArgumentConsumer, what: &str) -> Fallible<String> {
    Ok(args.next_pos().ok_or_else(|| format!("{what} expected"))?.value.clone())
}

fn aggregate(text: &str) -> Fallible<AggregateId> {
    if let Ok(rotation) = rotation(text) {
        return Ok(AggregateId::Rotation(rotation));
    }
    if text.contains('-') {
        return Ok(AggregateId::Airplane(text.parse()?));
    }
    match text.parse() {
        Ok(airport) => Ok(AggregateId::Airport(airport)),
        Err(_) => Ok(AggregateId::Flight(flight(text)?)),
    }
}

fn rotation(text: &str) -> Fallible<RotationId> {
    let number = text.strip_prefix('R').ok_or("a rotation is R and a number")?.parse()?;
    Ok(RotationId(Uuid::from_u128(number)))
}

fn flight(text: &str) -> Fallible<FlightId> {
    let (carrier, number) = text.split_at_checked(2).ok_or("no flight")?;
    let digits = number.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix: Suffix = number[digits.len()..].parse()?;
    Ok(FlightId {
        carrier: carrier.parse()?,
        number: FlightNumber::new(digits.parse()?).ok_or("no flight number")?,
        suffix,
    })
}

fn ground_time(minutes: &str) -> Fallible<MinimumGroundTime> {
    Ok(MinimumGroundTime::new(0, 0, minutes.parse::<i64>()? * 60_000_000).ok_or("negative")?)
}

fn minimum(args: &mut ArgumentConsumer) -> Fallible<Option<MinimumGroundTime>> {
    args.lookup("minutes").map(|it| ground_time(&it.value)).transpose()
}

/// `type=320`, or `type=""` for none.
#[expect(clippy::option_option, reason = "an aircraft type may stay, change, or change to none")]
fn aircraft_type(args: &mut ArgumentConsumer) -> Fallible<Option<Option<AircraftType>>> {
    let read = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
    Ok(args.lookup("type").map(|it| read(&it.value)).transpose()?)
}

const DAY: (i32, u8, u8) = (2026, 3, 29);

fn time(text: &str) -> Fallible<UtcTime> {
    let (clock, days) = text.split_once('@').unwrap_or((text, "0"));
    let clock: i64 = clock.parse()?;
    let minutes = days.parse::<i64>()? * 1440 + clock / 100 * 60 + clock % 100;
    let day = DayOfOrigin::from_calendar(DAY.0, DAY.1, DAY.2).ok_or("no day")?;
    Ok(UtcTime::at_minute(day, minutes).ok_or("out of range")?)
}

fn leg(args: &mut ArgumentConsumer) -> Fallible<Box<Leg>> {
    let id = LegId(Uuid::from_u128(text(args, "leg")?.parse()?));
    leg_of(id, args)
}

fn leg_of(id: LegId, args: &mut ArgumentConsumer) -> Fallible<Box<Leg>> {
    let flight = flight(&text(args, "flight")?)?;
    let departure_airport = text(args, "departure airport")?.parse()?;
    let arrival_airport = text(args, "arrival airport")?.parse()?;
    let departure = time(&args.lookup("dep").ok_or("dep= expected")?.value)?;
    let arrival = time(&args.lookup("arr").ok_or("arr= expected")?.value)?;
    let day_of_origin = DayOfOrigin::from_calendar(DAY.0, DAY.1, DAY.2).ok_or("no day")?;
    Ok(Box::new(Leg {
        id,
        designator: FlightDesignator { flight, departure_airport, day_of_origin },
        arrival_airport,
        block: BlockTime::new(departure, arrival).ok_or("arrival is not after departure")?,
        departure_utc_offset_minutes: 120,
        arrival_utc_offset_minutes: 120,
        leg_sequence: args.lookup("sequence").map_or(Ok(1), |it| it.value.parse())?,
        itinerary_variation: 1,
        service_type: "J".parse()?,
        aircraft_type: aircraft_type(args)?.flatten(),
    }))
}

/// A leg and, with `was=0800-0900`, the same leg with those times.
fn leg_and_before(args: &mut ArgumentConsumer) -> Fallible<(Box<Leg>, Option<Box<Leg>>)> {
    let was = args.lookup("was").map(|it| it.value.clone());
    let leg = leg(args)?;
    let Some(was) = was else { return Ok((leg, None)) };
    let (departure, arrival) = was.split_once('-').ok_or("was=0800-0900 expected")?;
    let block =
        BlockTime::new(time(departure)?, time(arrival)?).ok_or("arrival is not after departure")?;
    let before = Leg { block, ..*leg };
    Ok((leg, Some(Box::new(before))))
}

fn expected_leg(args: &mut ArgumentConsumer) -> Fallible<(LegId, Option<Box<Leg>>)> {
    let id = LegId(Uuid::from_u128(text(args, "leg")?.parse()?));
    let expected = if args.lookup("expected").is_some() { Some(leg_of(id, args)?) } else { None };
    Ok((id, expected))
}

fn leg_text(leg: &Leg) -> String {
    let (departure, arrival) = (leg.block.departure(), leg.block.arrival());
    let aircraft_type = leg.aircraft_type.map(|it| format!(" {it}")).unwrap_or_default();
    let number = leg.id.0.as_u128();
    format!(
        "{number} {} {departure} {} {arrival} {} sequence={}{aircraft_type}",
        leg.designator, leg.arrival_airport, leg.service_type, leg.leg_sequence
    )
}

fn event_text(event: &Event) -> String {
    let mut payload = Vec::new();
    let name = event_name(Schedule::encode_event(event, &mut payload).event_type).unwrap();
    match event {
        Event::LegAdded(leg)
        | Event::LegRescheduled(leg)
        | Event::OpenLegScheduled(leg)
        | Event::OpenLegRescheduled(leg) => {
            format!("{name} {}", leg_text(leg))
        }
        other => {
            let mut json = String::new();
            payload_json(other, &mut json);
            format!("{name} {json}")
        }
    }
}

fn state_text(state: &State, version: Version) -> String {
    let lines = match state {
        State::Airport(airport) => {
            vec![format!("{:?}", airport.minimum_ground_time().map(|it| it.to_string()))]
        }
        State::Airplane(airplane) => match airplane.registered() {
            None => vec!["not registered".to_owned()],
            Some(it) => {
                let rotation = it.rotation.map(|it| it.0.as_u128());
                vec![format!(
                    "type {:?}, minimum {}, rotation {rotation:?}",
                    it.aircraft_type, it.minimum_ground_time
                )]
            }
        },
        State::Rotation(rotation) if !rotation.exists() => vec!["does not exist".to_owned()],
        State::Rotation(rotation) => std::iter::once(format!("name {:?}", rotation.name()))
            .chain(rotation.legs().map(leg_text))
            .collect(),
        State::Flight(flight) => std::iter::once(format!("{} open legs", flight.leg_count()))
            .chain(flight.legs().map(leg_text))
            .collect(),
    };
    format!("version {version}: {}\n", lines.join("\n  "))
}
