//! Reading SSIM files.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rotabase::ssim::{SsimOptions, SsimReader};
use rotabase_engine::schedule::Leg;

/// The piece that is given to the reader at a time, as COPY does.
const PIECE_BYTES: usize = 64 << 10;

fn file(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("../tests/data/ssim")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(file: &[u8], sink: &mut impl FnMut(Leg)) -> u64 {
    let mut reader = SsimReader::new(SsimOptions::default());
    for piece in file.chunks(PIECE_BYTES) {
        reader.feed(piece, sink);
    }
    reader.finish(sink).expect("a file without faults").legs
}

/// From the bytes to dated legs.
#[divan::bench(args = ["example_local.ssim", "example_utc.ssim"])]
fn parse_ssim(bencher: Bencher<'_, '_>, name: &str) {
    let file = file(name);
    let legs = read(&file, &mut |_| ());
    bencher.counter(BytesCount::new(file.len())).counter(ItemsCount::new(legs)).bench_local(|| {
        read(black_box(&file), &mut |leg| {
            black_box(leg);
        })
    });
}
