//! Files to test with.

use std::path::PathBuf;

use rotabase::ssim::{SsimOptions, SsimReader, SsimRefused};
use rotabase_engine::schedule::Leg;

/// A file of the repository.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let path = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("../tests/data/ssim")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path beside the repository, for samples that are not ours to copy; none where they are missing.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("../../shared")
        .join(path);
    path.exists().then_some(path)
}

pub(crate) fn load(file: &[u8]) -> Result<Vec<Leg>, SsimRefused> {
    load_in_pieces(file, file.len().max(1), SsimOptions::default())
}

pub(crate) fn load_in_pieces(
    file: &[u8],
    piece: usize,
    options: SsimOptions,
) -> Result<Vec<Leg>, SsimRefused> {
    let mut legs = Vec::new();
    let mut reader = SsimReader::new(options);
    for bytes in file.chunks(piece) {
        reader.feed(bytes, &mut |leg| legs.push(leg));
    }
    let summary = reader.finish(&mut |leg| legs.push(leg))?;
    assert_eq!(summary.legs, u64::try_from(legs.len()).unwrap());
    Ok(legs)
}

/// A good file to make faults in: the example, and a segment data record. Its records are numbered from 1:
/// 1 header, 6 carrier, 11 and 12 the legs of RB145, 13 segment data, 14 to 16 further flights, 21 trailer; the
/// others are zero records.
pub(crate) struct Good(pub(crate) Vec<Vec<u8>>);

impl Good {
    pub(crate) fn new() -> Self {
        let file = example("example_local.ssim");
        let lines: Vec<Vec<u8>> = file
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let mut good = Self(lines);
        good.insert(13, &format!("4 RB  1450102J{:14}BC505DELBKK{:155}000000", "", "ET"));
        good.renumber();
        good
    }

    /// Puts `text` into the bytes of a record from `byte` on.
    pub(crate) fn put(&mut self, record: usize, byte: usize, text: &str) {
        self.0[record - 1][byte - 1..byte - 1 + text.len()].copy_from_slice(text.as_bytes());
    }

    /// Makes `text` a record, of this number.
    pub(crate) fn insert(&mut self, record: usize, text: &str) {
        self.0.insert(record - 1, text.as_bytes().to_vec());
    }

    pub(crate) fn copy(&mut self, record: usize, to: usize) {
        let copy = self.0[record - 1].clone();
        self.0.insert(to - 1, copy);
    }

    pub(crate) fn remove(&mut self, record: usize) {
        self.0.remove(record - 1);
    }

    /// Gives all records their serial numbers, and trailers their check reference.
    pub(crate) fn renumber(&mut self) {
        let mut serial = 0;
        for line in self.0.iter_mut().filter(|line| line[0] != b'0') {
            if line[0] == b'5' {
                line[187..193].copy_from_slice(format!("{serial:06}").as_bytes());
            }
            serial += 1;
            line[194..200].copy_from_slice(format!("{serial:06}").as_bytes());
        }
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        let mut file = self.0.join(&b'\n');
        file.push(b'\n');
        file
    }

    pub(crate) fn load(&self) -> Result<Vec<Leg>, SsimRefused> {
        load(&self.file())
    }
}
