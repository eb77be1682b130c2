//! Ids of aggregates as bytes: a tag for the type, then the identity. They sort as ids do.

use uuid::Uuid;

use crate::domain::DecodeError;
use crate::schedule::value::{
    AirportCode, Carrier, FlightNumber, Registration, RotationId, Suffix,
};
use crate::schedule::{AggregateId, FlightId};
use crate::varint::Reader;

const AIRPORT: u8 = 1;
const AIRPLANE: u8 = 2;
const ROTATION: u8 = 3;
const FLIGHT: u8 = 4;

pub(in crate::schedule) fn encode(id: &AggregateId, out: &mut Vec<u8>) {
    match id {
        AggregateId::Airport(code) => {
            out.push(AIRPORT);
            out.extend_from_slice(&code.stored());
        }
        AggregateId::Airplane(registration) => {
            out.push(AIRPLANE);
            out.extend_from_slice(registration.as_str().as_bytes());
        }
        AggregateId::Rotation(RotationId(uuid)) => {
            out.push(ROTATION);
            out.extend_from_slice(uuid.as_bytes());
        }
        AggregateId::Flight(FlightId { carrier, number, suffix }) => {
            out.push(FLIGHT);
            out.extend_from_slice(&carrier.stored());
            out.extend_from_slice(&number.get().to_be_bytes());
            out.push(suffix.stored());
        }
    }
}

pub(in crate::schedule) fn decode(bytes: &[u8]) -> Result<AggregateId, DecodeError> {
    let mut reader = Reader::new("an aggregate id", bytes);
    let id = match reader.byte()? {
        AIRPORT => AirportCode::from_stored(&reader.array::<3>()?).map(AggregateId::Airport),
        AIRPLANE => {
            let stored = reader.take(reader.remaining())?;
            // Without padding, so that equal ids have one form.
            Registration::from_stored(stored)
                .filter(|it| it.as_str().len() == stored.len())
                .map(AggregateId::Airplane)
        }
        ROTATION => Some(AggregateId::Rotation(RotationId(Uuid::from_bytes(reader.array()?)))),
        FLIGHT => read_flight(&mut reader)?.map(AggregateId::Flight),
        tag => return Err(reader.error(format!("{tag} is no type of aggregate"))),
    };
    let id = id.ok_or_else(|| reader.error("a code is malformed"))?;
    reader.finish()?;
    Ok(id)
}

fn read_flight(reader: &mut Reader<'_>) -> Result<Option<FlightId>, DecodeError> {
    let carrier = Carrier::from_stored(&reader.array::<3>()?);
    let number = FlightNumber::new(i64::from(u16::from_be_bytes(reader.array()?)));
    let suffix = Suffix::from_stored(reader.byte()?);
    let (Some(carrier), Some(number), Some(suffix)) = (carrier, number, suffix) else {
        return Ok(None);
    };
    Ok(Some(FlightId { carrier, number, suffix }))
}
