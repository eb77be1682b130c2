//! Values to test laws with.

use proptest::option;
use proptest::prelude::*;
use rotabase_engine::schedule::{
    AggregateId, AircraftType, AirportCode, BlockTime, Carrier, Command, DayOfOrigin, Event,
    FlightDesignator, FlightId, FlightNumber, Leg, LegId, MinimumGroundTime, Registration,
    RotationId, ServiceType, Suffix, UtcTime,
};
use uuid::Uuid;

fn airport() -> impl Strategy<Value = AirportCode> {
    "[A-Z]{3}".prop_map(|text| text.parse().unwrap())
}

fn flight() -> impl Strategy<Value = FlightId> {
    ("[A-Z0-9]{2,3}", 1..10_000_i64, "[A-Z]?").prop_map(|(carrier, number, suffix)| FlightId {
        carrier: carrier.parse::<Carrier>().unwrap(),
        number: FlightNumber::new(number).unwrap(),
        suffix: suffix.parse::<Suffix>().unwrap(),
    })
}

fn aircraft_type() -> impl Strategy<Value = Option<AircraftType>> {
    option::of("[A-Z0-9]{1,4}").prop_map(|text| text.map(|text| text.parse().unwrap()))
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn id() -> impl Strategy<Value = AggregateId> {
    prop_oneof![
        airport().prop_map(AggregateId::Airport),
        "[A-Z0-9-]{1,10}"
            .prop_map(|text| AggregateId::Airplane(text.parse::<Registration>().unwrap())),
        uuid().prop_map(|uuid| AggregateId::Rotation(RotationId(uuid))),
        flight().prop_map(AggregateId::Flight),
    ]
}

fn block() -> impl Strategy<Value = BlockTime> {
    let minutes = (-9_000_000..20_000_000_i64, 1..2000_i64).prop_map(|(start, length)| {
        (UtcTime(start * 60_000_000), UtcTime((start + length) * 60_000_000))
    });
    let any = (any::<i64>(), any::<i64>())
        .prop_map(|(one, other)| (UtcTime(one.min(other)), UtcTime(one.max(other))));
    let infinite = Just((UtcTime(i64::MIN), UtcTime(i64::MAX)));
    prop_oneof![4 => minutes, 2 => any, 1 => infinite]
        .prop_filter_map("a leg takes time", |(departure, arrival)| {
            BlockTime::new(departure, arrival)
        })
}

pub(crate) fn leg() -> impl Strategy<Value = Leg> {
    let designator = (flight(), airport(), prop_oneof![-9000..20_000_i32, any::<i32>()]).prop_map(
        |(flight, departure_airport, day)| FlightDesignator {
            flight,
            departure_airport,
            day_of_origin: DayOfOrigin(day),
        },
    );
    let numbers = (any::<i32>(), -720..840_i32, 1..20_i32, any::<i32>());
    (uuid(), designator, airport(), block(), numbers, "[A-Z]", aircraft_type()).prop_map(
        |(
            id,
            designator,
            arrival_airport,
            block,
            (departure_offset, arrival_offset, sequence, variation),
            service,
            aircraft_type,
        )| Leg {
            id: LegId(id),
            designator,
            arrival_airport,
            block,
            departure_utc_offset_minutes: departure_offset,
            arrival_utc_offset_minutes: arrival_offset,
            leg_sequence: sequence,
            itinerary_variation: variation,
            service_type: service.parse::<ServiceType>().unwrap(),
            aircraft_type,
        },
    )
}

pub(crate) fn ground_time() -> impl Strategy<Value = MinimumGroundTime> {
    (0..30_i32, -3..3_i32, any::<i64>())
        .prop_filter_map("a ground time is not negative", |(months, days, microseconds)| {
            MinimumGroundTime::new(months, days, microseconds)
        })
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let rotation = || uuid().prop_map(RotationId);
    let leg_id = || uuid().prop_map(LegId);
    let leg = || leg().prop_map(Box::new);
    let name = || option::of(".{0,20}");
    prop_oneof![
        ground_time()
            .prop_map(|minimum_ground_time| Event::AirportRegistered { minimum_ground_time }),
        ground_time().prop_map(|minimum_ground_time| Event::AirportMinimumGroundTimeChanged {
            minimum_ground_time
        }),
        Just(Event::AirportRemoved),
        (aircraft_type(), ground_time()).prop_map(|(aircraft_type, minimum_ground_time)| {
            Event::AirplaneRegistered { aircraft_type, minimum_ground_time }
        }),
        (aircraft_type(), ground_time()).prop_map(|(aircraft_type, minimum_ground_time)| {
            Event::AirplaneChanged { aircraft_type, minimum_ground_time }
        }),
        Just(Event::AirplaneRemoved),
        rotation().prop_map(|rotation| Event::RotationAssigned { rotation }),
        rotation().prop_map(|rotation| Event::RotationUnassigned { rotation }),
        name().prop_map(|name| Event::RotationCreated { name }),
        name().prop_map(|name| Event::RotationRenamed { name }),
        Just(Event::RotationRemoved),
        leg().prop_map(Event::LegAdded),
        leg().prop_map(Event::LegRescheduled),
        leg_id().prop_map(|id| Event::LegRemoved { id }),
        leg().prop_map(Event::OpenLegScheduled),
        leg().prop_map(Event::OpenLegRescheduled),
        leg_id().prop_map(|id| Event::OpenLegCancelled { id }),
    ]
}

/// Legs out of a small world, so that they meet: few ids, one day, one flight.
pub(crate) fn small_leg() -> impl Strategy<Value = Leg> {
    (0..8_u128, 0..48_i64, 1..8_i64, 1..4_i64, any::<bool>()).prop_map(
        |(id, start, length, number, other)| {
            let day_of_origin = DayOfOrigin(9584);
            let time =
                |half_hours: i64| UtcTime::at_minute(day_of_origin, half_hours * 30).unwrap();
            let flight = FlightId {
                carrier: "LH".parse().unwrap(),
                number: FlightNumber::new(number).unwrap(),
                suffix: Suffix::NONE,
            };
            Leg {
                id: LegId(Uuid::from_u128(id)),
                designator: FlightDesignator {
                    flight,
                    departure_airport: "FRA".parse().unwrap(),
                    day_of_origin,
                },
                arrival_airport: if other { "MUC" } else { "JFK" }.parse().unwrap(),
                block: BlockTime::new(time(start), time(start + length)).unwrap(),
                departure_utc_offset_minutes: 60,
                arrival_utc_offset_minutes: 60,
                leg_sequence: 1,
                itinerary_variation: 1,
                service_type: "J".parse().unwrap(),
                aircraft_type: None,
            }
        },
    )
}

/// Commands to a rotation, an airplane, an airport and a flight of the small world; many are refused.
pub(crate) fn command() -> impl Strategy<Value = (AggregateId, Command)> {
    let rotation = || (0..2_u128).prop_map(|it| RotationId(Uuid::from_u128(it)));
    let name = || option::of("[AB]");
    let ground = || {
        (0..3_i64).prop_map(|minutes| MinimumGroundTime::new(0, 0, minutes * 60_000_000).unwrap())
    };
    let aircraft = || option::of("320|77W").prop_map(|it| it.map(|it| it.parse().unwrap()));
    let leg = || small_leg().prop_map(Box::new);
    let of_rotation = prop_oneof![
        2 => name().prop_map(Command::CreateRotation),
        1 => name().prop_map(Command::RenameRotation),
        1 => Just(Command::RemoveRotation),
        1 => Just(Command::RequireRotation),
        12 => leg().prop_map(Command::AddLeg),
        6 => leg().prop_map(|leg| Command::RescheduleLeg { leg, expected: None }),
        2 => (leg(), leg()).prop_map(|(leg, seen)| Command::RescheduleLeg { leg, expected: Some(seen) }),
        4 => (leg(), any::<bool>()).prop_map(|(it, seen)| Command::RemoveLeg { id: it.id, expected: seen.then_some(it) }),
    ];
    let of_airplane = prop_oneof![
        (aircraft(), ground()).prop_map(|(aircraft_type, minimum_ground_time)| {
            Command::RegisterAirplane { aircraft_type, minimum_ground_time }
        }),
        (option::of(aircraft()), option::of(ground())).prop_map(
            |(aircraft_type, minimum_ground_time)| Command::ChangeAirplane {
                aircraft_type,
                minimum_ground_time
            }
        ),
        Just(Command::RemoveAirplane),
        rotation().prop_map(Command::AssignRotation),
        option::of(rotation()).prop_map(Command::UnassignRotation),
    ];
    let of_airport = prop_oneof![
        ground().prop_map(Command::RegisterAirport),
        ground().prop_map(Command::ChangeAirportMinimumGroundTime),
        Just(Command::RemoveAirport),
    ];
    let of_flight = prop_oneof![
        2 => leg().prop_map(|it| (it.flight(), Command::ScheduleOpenLeg(it))),
        2 => leg().prop_map(|it| (it.flight(), Command::RescheduleOpenLeg { leg: it, expected: None })),
        1 => leg().prop_map(|it| (it.flight(), Command::CancelOpenLeg { id: it.id, expected: None })),
    ];
    prop_oneof![
        6 => of_rotation.prop_map(|it| (AggregateId::Rotation(RotationId(Uuid::nil())), it)),
        2 => of_airplane.prop_map(|it| (AggregateId::Airplane("D-AIZA".parse().unwrap()), it)),
        1 => of_airport.prop_map(|it| (AggregateId::Airport("FRA".parse().unwrap()), it)),
        2 => of_flight,
    ]
}
