use rotabase_engine::schedule::{AirportCode, Command, Event, MinimumGroundTime, Refusal};
use rotabase_raft::WriteError;

use super::*;

fn modes() -> Modes {
    Modes { isolation: Isolation::ReadCommitted, read_only: false, deferrable: false }
}

fn block() -> Block {
    let mut block = Block::new(0, modes(), false, BlockMemory::default());
    block.advance(&Snapshot::empty()).expect("an empty schedule");
    block
}

fn airport(code: &str) -> AggregateId {
    AggregateId::Airport(code.parse::<AirportCode>().expect("a code"))
}

fn register(code: &str) -> Request<Schedule> {
    Request::new(airport(code), Command::RegisterAirport(MinimumGroundTime::default()))
}

fn rename(id: RotationId, name: &str) -> Request<Schedule> {
    Request::new(AggregateId::Rotation(id), Command::RenameRotation(Some(name.to_owned())))
}

fn before() -> Before {
    Before { settings: Arc::default(), cursors: 0 }
}

#[test]
fn a_command_is_decided_on_the_blocks_own_events() {
    let mut block = block();
    let decided = block.decide(&[register("FRA"), register("MUC")]).expect("new airports");
    assert_eq!(decided.versions, [Version(1), Version(1)]);
    let again = block.decide(&[register("HAM"), register("FRA")]);
    assert!(matches!(
        again,
        Err(SendError::Write(WriteError::Refused {
            request: 1,
            refusal: Refusal::AlreadyExists(_)
        }))
    ));
    // Nothing of a refused statement is kept.
    let finished = block.finish().expect("two events");
    assert_eq!(finished.events.len(), 2);
    assert_eq!(
        finished.bases.keys().copied().collect::<Vec<_>>(),
        [airport("FRA"), airport("MUC")]
    );
}

#[test]
fn a_version_is_that_before_the_statement() {
    let mut block = block();
    let id = RotationId(uuid::Uuid::from_u128(1));
    let create = Request::new(AggregateId::Rotation(id), Command::CreateRotation(None));
    block.decide(&[create]).expect("a new rotation");
    let both =
        [rename(id, "a").expecting(Some(Version(1))), rename(id, "b").expecting(Some(Version(1)))];
    assert_eq!(block.decide(&both).expect("the version").versions, [Version(2), Version(3)]);
    let mismatch = block.decide(&[rename(id, "c").expecting(Some(Version(1)))]);
    assert!(matches!(
        mismatch,
        Err(SendError::Write(WriteError::VersionMismatch { requests })) if requests == [0]
    ));
}

#[test]
fn rolling_back_to_a_savepoint_forgets_what_came_after() {
    let mut block = block();
    block.decide(&[register("FRA")]).expect("new");
    block.savepoint("s".to_owned(), before()).expect("a savepoint");
    block.decide(&[register("MUC"), register("HAM")]).expect("new");
    block.savepoint("s".to_owned(), before()).expect("shadows the other");
    block.decide(&[register("CGN")]).expect("new");
    assert!(block.roll_back_to("s").is_some());
    assert!(block.release("s"));
    assert!(block.roll_back_to("s").is_some());
    block.decide(&[register("MUC")]).expect("forgotten, so new again");
    assert!(block.release("s") && !block.release("s") && block.roll_back_to("s").is_none());
    let finished = block.finish().expect("events");
    let ids: Vec<_> = finished.events.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, [airport("FRA"), airport("MUC")]);
}

#[test]
fn what_was_read_as_its_own_counts_as_before_once_it_is_rolled_back() {
    let mut block = block();
    block.savepoint("s".to_owned(), before()).expect("a savepoint");
    block.decide(&[register("FRA")]).expect("new");
    block.reads().expect("it notes").note([(airport("FRA"), Version(1))]);
    block.roll_back_to("s").expect("there");
    block.decide(&[register("MUC")]).expect("new");
    let finished = block.finish().expect("an event");
    assert_eq!(finished.reads.versions()[&airport("FRA")], Version(0));
}

#[test]
fn its_queries_see_its_events() {
    let mut block = block();
    block.decide(&[register("FRA")]).expect("new");
    let seen = block.snapshot(1).expect("a view");
    assert!(seen.airport("FRA".parse().unwrap()).unwrap().is_some());
    block.decide(&[Request::new(airport("FRA"), Command::RemoveAirport)]).expect("there");
    let seen = block.snapshot(1).expect("a view");
    assert!(seen.airport("FRA".parse().unwrap()).unwrap().is_none());
    let kinds: Vec<_> = block.finish().unwrap().events.into_iter().map(|it| it.2).collect();
    assert!(matches!(kinds.as_slice(), [Event::AirportRegistered { .. }, Event::AirportRemoved]));
}

#[test]
fn a_block_that_cannot_write_notes_nothing() {
    let read_only = Modes { read_only: true, ..modes() };
    assert!(Block::new(0, read_only, false, BlockMemory::default()).reads().is_none());
    assert!(Block::new(0, modes(), true, BlockMemory::default()).reads().is_none());
    assert!(block().finish().is_none());
}
