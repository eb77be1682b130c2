//! What single steps of the work cost, without a server, a disk or a client: for finding out what a change does.
//!
//! `cargo bench --profile dev -p rotabase-benches [-- FILTER]`; with the profile `dev` nothing but this program is
//! compiled, RocksDB least of all.
//!
//! What a user waits for is measured by the program beside this one, `cargo run -p rotabase-benches`.

mod engine;
mod sql;
mod ssim;
mod values;

fn main() {
    divan::main();
}
