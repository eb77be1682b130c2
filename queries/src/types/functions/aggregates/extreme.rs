//! `min` and `max`.

use std::cmp::Ordering;

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::PgType::{self, *};
use crate::types::functions::compare::no_operator;
use crate::types::functions::define::aggregate;
use crate::types::functions::{Accumulator, AggregateFunction, CompareFn};
use crate::types::{Datum, compare, is_ordered};

/// The extreme value so far.
#[derive(Debug)]
struct Extreme {
    ty: PgType,
    order: CompareFn,
    wanted: Ordering,
    value: Datum,
}

impl Accumulator for Extreme {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let Some(value) = arguments.first() else { return Ok(()) };
        if self.value.is_null() {
            if !is_ordered(self.ty) {
                return Err(no_operator(self.ty, "a comparison function"));
            }
            self.value = value.clone();
        } else if (self.order)(value, &self.value) == self.wanted {
            self.value = value.clone();
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self.value.clone())
    }
}

fn extreme(types: &[PgType], wanted: Ordering) -> Box<dyn Accumulator> {
    let ty = types.first().copied().unwrap_or(Text);
    Box::new(Extreme { ty, order: compare(ty), wanted, value: Datum::Null })
}

fn min(types: &[PgType]) -> Box<dyn Accumulator> {
    extreme(types, Ordering::Less)
}

fn max(types: &[PgType]) -> Box<dyn Accumulator> {
    extreme(types, Ordering::Greater)
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2133, "min", &[Int2], Int2, min),
    aggregate(2132, "min", &[Int4], Int4, min),
    aggregate(2131, "min", &[Int8], Int8, min),
    aggregate(2134, "min", &[Oid], Oid, min),
    aggregate(2135, "min", &[Float4], Float4, min),
    aggregate(2136, "min", &[Float8], Float8, min),
    aggregate(2146, "min", &[Numeric], Numeric, min),
    aggregate(2138, "min", &[Date], Date, min),
    aggregate(2139, "min", &[Time], Time, min),
    aggregate(2140, "min", &[TimeTz], TimeTz, min),
    aggregate(2142, "min", &[Timestamp], Timestamp, min),
    aggregate(2143, "min", &[TimestampTz], TimestampTz, min),
    aggregate(2144, "min", &[Interval], Interval, min),
    aggregate(2145, "min", &[Text], Text, min),
    aggregate(2245, "min", &[Bpchar], Bpchar, min),
    aggregate(2051, "min", &[AnyArray], AnyArray, min),
    aggregate(5100, "min", &[Xid8], Xid8, min),
    aggregate(2117, "max", &[Int2], Int2, max),
    aggregate(2116, "max", &[Int4], Int4, max),
    aggregate(2115, "max", &[Int8], Int8, max),
    aggregate(2118, "max", &[Oid], Oid, max),
    aggregate(2119, "max", &[Float4], Float4, max),
    aggregate(2120, "max", &[Float8], Float8, max),
    aggregate(2130, "max", &[Numeric], Numeric, max),
    aggregate(2122, "max", &[Date], Date, max),
    aggregate(2123, "max", &[Time], Time, max),
    aggregate(2124, "max", &[TimeTz], TimeTz, max),
    aggregate(2126, "max", &[Timestamp], Timestamp, max),
    aggregate(2127, "max", &[TimestampTz], TimestampTz, max),
    aggregate(2128, "max", &[Interval], Interval, max),
    aggregate(2129, "max", &[Text], Text, max),
    aggregate(2244, "max", &[Bpchar], Bpchar, max),
    aggregate(2050, "max", &[AnyArray], AnyArray, max),
    aggregate(5099, "max", &[Xid8], Xid8, max),
];
