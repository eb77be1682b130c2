//! Message by message: what PostgreSQL 15 answers to the same messages, as seen on the wire.

use std::sync::atomic::Ordering;

use super::client::*;
use super::fake::{Options, start};

/// A short bind without parameters.
fn bound(portal: &str, statement: &str) -> Vec<u8> {
    bind(portal, statement, &[], &[], &[])
}

#[tokio::test]
async fn simple_statements_are_answered_in_order() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(client.say(&[query("")]).await, "I Z:I");
    assert_eq!(client.say(&[query("rows 2; other")]).await, "T D D C:SELECT_2 C:OK Z:I");
    assert_eq!(client.say(&[query("rows 1; fail; rows 1")]).await, "T D C:SELECT_1 E:22012 Z:I");
    assert_eq!(client.say(&[query("begin; fail")]).await, "C:BEGIN E:22012 Z:E");
    assert_eq!(client.say(&[query("rows 1")]).await, "E:25P02 Z:E");
    assert_eq!(client.say(&[query("rollback")]).await, "C:ROLLBACK Z:I");
    assert_eq!(client.say(&[query("notice")]).await, "N:00000 C:DO Z:I");
    assert_eq!(client.say(&[query("set")]).await, "C:SET S Z:I");
    assert_eq!(client.say(&[query("syntax")]).await, "E:42601 Z:I");
    assert_eq!(client.say(&[query("stream 250")]).await.matches('D').count(), 250);
}

#[tokio::test]
async fn extended_statements_are_parsed_bound_described_and_executed() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    let all = [parse("", "rows 1"), bound("", ""), describe('P', ""), execute("", 0), sync()];
    assert_eq!(client.say(&all).await, "1 2 T D C:SELECT_1 Z:I");
    let described = [parse("a", "rows $1"), describe('S', "a"), sync()];
    assert_eq!(client.say(&described).await, "1 t T Z:I");
    let two =
        [bind("", "a", &[0], &[Some(b"2")], &[0, 1]), execute("", 0), close('S', "a"), sync()];
    assert_eq!(client.say(&two).await, "2 D D C:SELECT_2 3 Z:I");
    assert_eq!(client.say(&[bound("", "a"), sync()]).await, "E:26000 Z:I");
    let empty =
        [parse("", ""), bound("", ""), describe('P', ""), execute("", 0), execute("", 0), sync()];
    assert_eq!(client.say(&empty).await, "1 2 n I I Z:I");
    assert_eq!(client.say(&[describe('P', "cursor"), sync()]).await, "T Z:I");
}

#[tokio::test]
async fn values_travel_in_the_format_asked_for() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    let messages = [
        parse("", "rows $1"),
        bind("", "", &[1], &[Some(&[0, 0, 0, 1])], &[1]),
        execute("", 0),
        sync(),
    ];
    client.send(&messages.concat()).await;
    client.message().await.unwrap();
    client.message().await.unwrap();
    let row = client.message().await.unwrap();
    assert_eq!(row.body, b"\0\x02\0\0\0\x04\0\0\0\0\0\0\0\x05row 0");
}

#[tokio::test]
async fn row_limits_suspend_a_portal_as_postgres_does() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    for source in ["rows 5", "stream 5"] {
        let mut messages = vec![parse("", source), bound("", "")];
        messages.extend([execute("", 2), execute("", 2), execute("", 2), execute("", 0), sync()]);
        assert_eq!(client.say(&messages).await, "1 2 D D s D D s D C:SELECT_1 C:SELECT_0 Z:I");
    }
    // As many rows as the limit: it is not looked at whether there are more.
    let equal = [
        parse("", "rows 2"),
        bound("", ""),
        execute("", 2),
        execute("", 2),
        execute("", 2),
        sync(),
    ];
    assert_eq!(client.say(&equal).await, "1 2 D D s C:SELECT_0 C:SELECT_0 Z:I");
    let twice = [parse("", "begin"), bound("", ""), execute("", 0), execute("", 0), sync()];
    assert_eq!(client.say(&twice).await, "1 2 C:BEGIN E:55000 Z:E");
}

#[tokio::test]
async fn portals_live_as_long_as_their_transaction() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(client.say(&[parse("", "rows 1"), bound("a", ""), sync()]).await, "1 2 Z:I");
    assert_eq!(client.say(&[execute("a", 0), sync()]).await, "E:34000 Z:I");
    assert_eq!(client.say(&[query("begin")]).await, "C:BEGIN Z:T");
    assert_eq!(
        client.say(&[parse("", "rows 2"), bound("a", ""), execute("a", 1), sync()]).await,
        "1 2 D s Z:T"
    );
    assert_eq!(client.say(&[execute("a", 0), sync()]).await, "D C:SELECT_1 Z:T");
    let ended = [parse("", "rollback"), bound("", ""), execute("", 0), execute("a", 0), sync()];
    assert_eq!(client.say(&ended).await, "1 2 C:ROLLBACK E:34000 Z:I");
    assert_eq!(client.say(&[bound("a", ""), bound("a", ""), sync()]).await, "2 E:42P03 Z:I");
}

#[tokio::test]
async fn an_error_passes_over_everything_to_sync() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    let failing =
        [parse("", "fail"), bound("", ""), execute("", 0), parse("", "rows 1"), query("rows 1")]
            .concat();
    assert_eq!(client.say(&[[failing, sync()].concat()]).await, "1 2 E:22012 Z:I");
    assert_eq!(client.say(&[sync()]).await, "Z:I");
}

#[tokio::test]
async fn what_bind_gets_wrong_has_its_code() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(
        client.say(&[parse("p", "rows $1"), parse("p", "rows 1"), sync()]).await,
        "1 E:42P05 Z:I"
    );
    let one: &[Option<&[u8]>] = &[Some(b"1")];
    for (message, code) in [
        (bind("", "p", &[], &[], &[]), "08P01"),
        (bind("", "p", &[0, 0], one, &[]), "08P01"),
        (bind("", "p", &[], one, &[0, 1, 0]), "08P01"),
        (bind("", "p", &[9], one, &[]), "22023"),
        (bind("", "p", &[], &[Some(b"x")], &[]), "22P02"),
        (bind("", "p", &[], &[Some(b"\xff")], &[]), "22021"),
        (bind("", "nope", &[], &[], &[]), "26000"),
        (message(b'B', b"abc"), "08P01"),
        (message(b'B', b"\0p\0\0\0\0\x01\0\0\0\x63abc"), "08P01"),
        (message(b'D', b"Xa\0"), "08P01"),
        (message(b'C', b"Xa\0"), "08P01"),
        (message(b'P', b"\0rows 1\0\0\0xx"), "08P01"),
        (message(b'P', b"\0rows \xff\0\0\0"), "22021"),
    ] {
        assert_eq!(client.say(&[message, sync()]).await, format!("E:{code} Z:I"));
    }
    assert_eq!(client.say(&[message(b'Q', b"rows \xff\0")]).await, "E:22021 Z:I");
    assert_eq!(client.say(&[message(b'S', b"abc")]).await, "E:08P01 Z:I");
    assert_eq!(client.say(&[message(b'F', b"\0\0\0\x01\0\0\0\0\0\0")]).await, "E:0A000 Z:I");
    assert_eq!(client.say(&[bind("", "p", &[], &[None], &[]), sync()]).await, "2 Z:I");
}

#[tokio::test]
async fn a_failed_transaction_binds_only_what_ends_it() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    client.say(&[parse("r", "rows 1"), parse("end", "rollback"), sync()]).await;
    client.say(&[query("begin; fail")]).await;
    assert_eq!(client.say(&[bound("", "r"), sync()]).await, "E:25P02 Z:E");
    assert_eq!(client.say(&[describe('S', "r"), sync()]).await, "E:25P02 Z:E");
    assert_eq!(client.say(&[bound("", "end"), execute("", 0), sync()]).await, "2 C:ROLLBACK Z:I");
}

#[tokio::test]
async fn copy_in_ends_as_the_client_or_the_data_says() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    let data = |text: &str| message(b'd', text.as_bytes());
    let done = message(b'c', b"");
    let fail = message(b'f', b"no more\0");
    assert_eq!(
        client.say(&[query("copy_in"), data("1\ta\n"), data("2\tb\n"), done.clone()]).await,
        "G C:COPY_2 Z:I"
    );
    assert_eq!(running.observed.copied.load(Ordering::Relaxed), 8);
    assert_eq!(
        client.say(&[query("copy_in"), data("1\ta\n"), fail.clone()]).await,
        "G E:57014 Z:I"
    );
    assert_eq!(
        client.say(&[query("copy_in; rows 1"), data("!"), data("2"), done.clone()]).await,
        "G E:22P04 Z:I"
    );
    assert_eq!(
        client.say(&[query("copy_in; rows 1"), done.clone()]).await,
        "G C:COPY_2 T D C:SELECT_1 Z:I"
    );
    // Clients of the extended protocol send Sync behind Execute before they know that it is a COPY.
    let started = [parse("", "copy_in"), bound("", ""), execute("", 0), sync()].concat();
    let whole = [started.clone(), data("1"), done.clone(), sync()].concat();
    client.send(&whole).await;
    assert_eq!(client.until_ready().await, "1 2 G C:COPY_2 Z:I");
    client.send(&[started, data("!"), data("1"), done, sync()].concat()).await;
    assert_eq!(client.until_ready().await, "1 2 G E:22P04 Z:I");
    // Refused before copy mode: each Sync has its answer, and the data is passed over.
    let refused =
        [parse("", "fail"), bound("", ""), execute("", 0), sync(), data("1"), fail, sync()]
            .concat();
    client.send(&refused).await;
    assert_eq!(client.until_ready().await, "1 2 E:22012 Z:I");
    assert_eq!(client.until_ready().await, "Z:I");
}

#[tokio::test]
async fn copy_out_sends_a_message_for_each_row() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(client.say(&[query("copy_out")]).await, "H d d d c C:COPY_3 Z:I");
    let extended = [parse("", "copy_out"), bound("", ""), execute("", 0), sync()];
    assert_eq!(client.say(&extended).await, "1 2 H d d d c C:COPY_3 Z:I");
}

#[tokio::test]
async fn a_client_out_of_step_is_told_and_dropped() {
    let running = start(Options::default()).await;
    for bad in [
        &b"y\0\0\0\x04"[..],
        b"Q\0\0\0\x03",
        b"Q\x7f\xff\xff\xff",
        b"S\0\x10\0\0",
        b"p\0\0\0\x08abc\0",
    ] {
        let mut client = Client::connect(running.port()).await;
        client.send(bad).await;
        assert_eq!(client.until_ready().await, "E:08P01 closed", "{bad:?}");
    }
    let mut client = Client::connect(running.port()).await;
    client.send(&[query("copy_in"), query("rows 1")].concat()).await;
    assert_eq!(client.until_ready().await, "G E:08P01 closed");
}

#[tokio::test]
async fn a_panic_costs_one_connection() {
    let running = start(Options::default()).await;
    let mut bystander = Client::connect(running.port()).await;
    let mut client = Client::connect(running.port()).await;
    client.send(&query("panic")).await;
    assert_eq!(client.until_ready().await, "closed");
    assert_eq!(bystander.say(&[query("rows 1")]).await, "T D C:SELECT_1 Z:I");
    drop(bystander);
    assert!(running.server.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn an_idle_client_is_notified() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(client.say(&[query("listen")]).await, "C:LISTEN A Z:I");
    client.send(&parse("", "listen")).await;
    client.send(&[bound("", ""), execute("", 0), message(b'H', b"")].concat()).await;
    for letter in *b"12C" {
        assert_eq!(client.message().await.unwrap().letter, letter);
    }
    running.observed.wakeup.notify_one();
    let notified = client.message().await.unwrap();
    assert_eq!((notified.letter, &notified.body[..]), (b'A', &b"\0\0\0\x01news\0{}\0"[..]));
}

#[tokio::test]
async fn discarding_all_closes_portals() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    let messages = [query("begin"), parse("", "rows 1"), bound("a", ""), sync(), query("discard")];
    client.say(&messages).await;
    assert_eq!(client.say(&[execute("a", 0), sync()]).await, "E:34000 Z:E");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    client.say(&[query("rows 3"), query("fail")]).await;
    let page = running.metrics.render();
    for line in [
        "rotabase_statements_total{command=\"SELECT\"} 2",
        "rotabase_errors_total{class=\"22\"} 1",
        "rotabase_rows_sent_total 3",
        "rotabase_sessions 1",
    ] {
        assert!(page.lines().any(|printed| printed == line), "{line} in {page}");
    }
}

/// A client may send runs of a statement without waiting, and a session may have several of them under way.
#[tokio::test]
async fn runs_that_did_not_wait_are_answered_as_if_they_had() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    assert_eq!(
        client.say(&[parse("s", "series $1"), parse("o", "other"), sync()]).await,
        "1 1 Z:I"
    );
    let bound_to = |number: &str| bind("", "s", &[0], &[Some(number.as_bytes())], &[]);
    let run = |number: &str| [bound_to(number), execute("", 0), sync()].concat();
    let described =
        |number: &str| [bound_to(number), describe('P', ""), execute("", 0), sync()].concat();
    let two = [bound_to("1"), execute("", 0), bound_to("2"), execute("", 0), sync()].concat();
    let sent = [
        (run("1"), "2 C:OK Z:I"),
        (run("2"), "2 C:OK Z:I"),
        (described("3"), "2 n C:OK Z:I"),
        // Refused, and the others are not.
        (run("7"), "2 E:22012 Z:I"),
        (run("4"), "2 C:OK Z:I"),
        (described("7"), "2 n E:22012 Z:I"),
        // Not a number.
        (run("x"), "E:22P02 Z:I"),
        (run("5"), "2 C:OK Z:I"),
        ([bound("", "o"), execute("", 0), sync()].concat(), "2 C:OK Z:I"),
        (run("7"), "2 E:22012 Z:I"),
        (query("rows 1"), "T D C:SELECT_1 Z:I"),
        (run("6"), "2 C:OK Z:I"),
        (two, "2 C:OK 2 C:OK Z:I"),
        (run("7"), "2 E:22012 Z:I"),
        ([bound_to("1"), execute("", 0), execute("", 0), sync()].concat(), "2 C:OK E:55000 Z:I"),
        (run("8"), "2 C:OK Z:I"),
        (run("7"), "2 E:22012 Z:I"),
    ];
    let all: Vec<u8> = sent.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    client.send(&all).await;
    for (number, (_, answer)) in sent.iter().enumerate() {
        assert_eq!(client.until_ready().await, *answer, "message {number}");
    }
    // Cut anywhere, too.
    for piece in all.chunks(11) {
        client.send(piece).await;
    }
    for (number, (_, answer)) in sent.iter().enumerate() {
        assert_eq!(client.until_ready().await, *answer, "message {number} of pieces");
    }
}
