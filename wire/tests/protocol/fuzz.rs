//! Random bytes and damaged messages: whatever a client sends, the server stays up and nothing panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::*;
use super::fake::{Options, start};

/// Connections tried; each costs a fraction of a millisecond.
const CONNECTIONS: u64 = 400;

/// A small generator (xorshift64*), so that a failure is replayed from its seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits");
        usize::try_from(self.next() % bound).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// Sound messages, some of them damaged.
fn conversation(dice: &mut Dice) -> Vec<u8> {
    let sound = [
        query("rows 2; begin; fail"),
        query("copy_in"),
        query("rollback"),
        query("copy_out"),
        parse("a", "rows $1"),
        parse("", "stream 300"),
        bind("", "a", &[1], &[Some(&[0, 0, 0, 1])], &[1, 0]),
        bind("p", "", &[], &[], &[]),
        describe('S', "a"),
        describe('P', ""),
        execute("", 1),
        execute("p", 0),
        close('P', ""),
        close('S', "a"),
        message(b'd', b"1\tx\n"),
        message(b'c', b""),
        message(b'f', b"no\0"),
        message(b'F', b"\0\0\0\x01"),
        message(b'H', b""),
        sync(),
        sync(),
    ];
    let mut bytes = Vec::new();
    for _ in 0..dice.below(30) {
        let mut message = sound[dice.below(sound.len())].clone();
        match dice.below(12) {
            0 => {
                let place = dice.below(message.len());
                message[place] = dice.byte();
            }
            1 => message.truncate(dice.below(message.len()) + 1),
            2 => message.push(dice.byte()),
            3 if message.len() > 5 => {
                let body: Vec<u8> = (0..dice.below(40)).map(|_| dice.byte()).collect();
                message = self::message(message[0], &body);
            }
            _ => {}
        }
        bytes.extend(message);
    }
    bytes
}

async fn torment(port: u16, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let bytes = match dice.below(4) {
        0 => (0..dice.below(200)).map(|_| dice.byte()).collect(),
        1 => {
            let mut start = startup(3 << 16, &["user", "anna", "options", "-c a=b"]);
            let place = dice.below(start.len());
            start[place] = dice.byte();
            start.extend(message(
                b'p',
                b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=fyko+d2lbbFgONRv9qkxdawL",
            ));
            start.extend(message(b'p', b"c=biws,r=x,p=eA=="));
            start
        }
        _ => [startup(3 << 16, &["user", "rotabase"]), conversation(&mut dice)].concat(),
    };
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    // The server may close before everything is written.
    let _ = socket.write_all(&bytes).await;
    let _ = socket.shutdown().await;
    let mut heard = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut heard)).await;
    assert!(read.is_ok(), "the server neither answers nor closes; seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_bring_the_server_down() {
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Other tests of this binary panic on purpose, or in their own threads.
        if panic.location().is_some_and(|location| {
            location.file().contains("protocol/") && !location.file().contains("tests/")
        }) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        default(panic);
    }));
    let running = start(Options::default()).await;
    for seed in 0..CONNECTIONS {
        torment(running.port(), seed).await;
    }
    let mut client = Client::connect(running.port()).await;
    assert_eq!(client.say(&[query("rows 1")]).await, "T D C:SELECT_1 Z:I");
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    drop(client);
    assert!(running.server.shutdown(PATIENCE).await, "every connection has ended");
}
