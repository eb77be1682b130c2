//! PostgreSQL's hash functions over strings: `hashtext`, which keys of advisory locks are mostly made with.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::types::Datum;
use crate::types::PgType::*;

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(400, "hashtext", &[Text], Int4, |_, a| {
        Ok(Datum::Int4(i32::from_be_bytes(hash(a.text(0)?.as_bytes(), 0).1.to_be_bytes())))
    }),
    f(448, "hashtextextended", &[Text, Int8], Int8, |_, a| {
        let seed = u64::from_be_bytes(a.int8(1)?.to_be_bytes());
        let (high, low) = hash(a.text(0)?.as_bytes(), seed);
        let [high, low] = [high.to_be_bytes(), low.to_be_bytes()];
        let bytes = [high[0], high[1], high[2], high[3], low[0], low[1], low[2], low[3]];
        Ok(Datum::Int8(i64::from_be_bytes(bytes)))
    }),
];

/// The state of Bob Jenkins' hash, as PostgreSQL has it.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn mix(&mut self) {
        let Self { a, b, c } = self;
        for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
            *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
            *c = c.wrapping_add(*b);
            *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
            *a = a.wrapping_add(*c);
            *c = c.wrapping_sub(*b) ^ b.rotate_left(third);
            *b = b.wrapping_add(*a);
        }
    }

    fn finish(&mut self) {
        let Self { a, b, c } = self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
    }
}

/// The two halves of the hash with a seed; the lower one with seed 0 is the hash of 32 bits.
fn hash(bytes: &[u8], seed: u64) -> (u32, u32) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let start = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
    let mut state = State { a: start, b: start, c: start };
    if seed != 0 {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = seed.to_be_bytes();
        state.a = state.a.wrapping_add(u32::from_be_bytes([s0, s1, s2, s3]));
        state.b = state.b.wrapping_add(u32::from_be_bytes([s4, s5, s6, s7]));
        state.mix();
    }
    let (words, rest) = bytes.as_chunks::<12>();
    let word =
        |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
    for chunk in words {
        state.a = state.a.wrapping_add(word(&chunk[..4]));
        state.b = state.b.wrapping_add(word(&chunk[4..8]));
        state.c = state.c.wrapping_add(word(&chunk[8..]));
        state.mix();
    }
    let part = |from: usize, to: usize| word(&rest[from.min(rest.len())..to.min(rest.len())]);
    state.a = state.a.wrapping_add(part(0, 4));
    state.b = state.b.wrapping_add(part(4, 8));
    // The lowest byte is the length's.
    state.c = state.c.wrapping_add(part(8, 12) << 8);
    state.finish();
    (state.b, state.c)
}
