//! The payload of an event as JSON, as `events.payload` shows it: field names are the SQL column names, and
//! keys stand in the order of `jsonb` (shorter ones first, then bytewise).

use std::fmt::Write as _;

use super::{Event, Leg};

/// Appends the payload of an event as a JSON object, in the form in which PostgreSQL prints `jsonb`.
pub fn payload_json(event: &Event, out: &mut String) {
    let mut object = Object { fields: Vec::new() };
    match event {
        Event::AirportRegistered { minimum_ground_time }
        | Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
            object.text("minimum_ground_time", minimum_ground_time);
        }
        Event::AirplaneRegistered { aircraft_type, minimum_ground_time }
        | Event::AirplaneChanged { aircraft_type, minimum_ground_time } => {
            object.optional("aircraft_type", aircraft_type.as_ref());
            object.text("minimum_ground_time", minimum_ground_time);
        }
        Event::AirportRemoved | Event::AirplaneRemoved | Event::RotationRemoved => {}
        Event::RotationAssigned { rotation } | Event::RotationUnassigned { rotation } => {
            object.text("rotation_id", rotation);
        }
        Event::RotationCreated { name } | Event::RotationRenamed { name } => {
            object.optional("name", name.as_ref());
        }
        Event::LegAdded(leg)
        | Event::LegRescheduled(leg)
        | Event::OpenLegScheduled(leg)
        | Event::OpenLegRescheduled(leg) => {
            leg_fields(leg, &mut object);
        }
        Event::LegRemoved { id } | Event::OpenLegCancelled { id } => object.text("id", id),
    }
    object.write(out);
}

fn leg_fields(leg: &Leg, object: &mut Object) {
    object.text("id", &leg.id);
    object.text("carrier", &leg.carrier());
    object.number("flight_number", i32::from(leg.flight_number().get()));
    object.text("suffix", &leg.suffix());
    object.text("day_of_origin", &leg.designator.day_of_origin);
    object.text("departure_airport", &leg.designator.departure_airport);
    object.text("arrival_airport", &leg.arrival_airport);
    object.text("departure_time", &leg.block.departure());
    object.text("arrival_time", &leg.block.arrival());
    object.number("departure_utc_offset", leg.departure_utc_offset_minutes);
    object.number("arrival_utc_offset", leg.arrival_utc_offset_minutes);
    object.number("leg_sequence", leg.leg_sequence);
    object.number("itinerary_variation", leg.itinerary_variation);
    object.text("service_type", &leg.service_type);
    object.optional("aircraft_type", leg.aircraft_type.as_ref());
}

/// The fields of an object, with their values as JSON.
struct Object {
    fields: Vec<(&'static str, String)>,
}

impl Object {
    fn number(&mut self, key: &'static str, value: i32) {
        self.fields.push((key, value.to_string()));
    }

    fn text(&mut self, key: &'static str, value: &impl ToString) {
        self.fields.push((key, quoted(&value.to_string())));
    }

    fn optional(&mut self, key: &'static str, value: Option<impl ToString>) {
        self.fields.push((
            key,
            value.map_or_else(|| "null".to_owned(), |value| quoted(&value.to_string())),
        ));
    }

    fn write(mut self, out: &mut String) {
        self.fields.sort_by_key(|(key, _)| (key.len(), *key));
        out.push('{');
        let mut separator = "";
        for (key, value) in &self.fields {
            out.push_str(separator);
            out.push('"');
            out.push_str(key);
            out.push_str("\": ");
            out.push_str(value);
            separator = ", ";
        }
        out.push('}');
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("a String takes all");
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
