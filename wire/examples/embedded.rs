//! Rotabase as a library: a database opened from a directory, without a server or a socket.
//!
//! `cargo run -p rotabase --example embedded`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use rotabase::Database;
use rotabase_queries::error::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let directory = std::env::temp_dir().join(format!("rotabase-embedded-{}", std::process::id()));
    let database = Database::open(&directory).await?;
    let mut session = database.session("rotabase")?;
    let script = "
        INSERT INTO airports (code, minimum_ground_time) VALUES ('FRA', '45 minutes'), ('MUC', '40 minutes');
        INSERT INTO rotations (id, name) VALUES ('00000000-0000-4000-8000-000000000001', 'R1');
        INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport,
                          departure_time, arrival_time)
        VALUES ('00000000-0000-4000-8000-000000000001', 'LH', 100, '2026-03-29', 'FRA', 'MUC', '2026-03-29 08:00Z', '2026-03-29 09:00Z'),
               ('00000000-0000-4000-8000-000000000001', 'LH', 101, '2026-03-29', 'MUC', 'FRA', '2026-03-29 09:30Z', '2026-03-29 10:30Z');
        SELECT kind, detail FROM schedule_violations;";
    for reply in session.run_sql(script, Vec::new()).await? {
        println!("{}", reply.tag);
        for row in reply.text_rows(&session) {
            println!(
                "  {}",
                row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" | ")
            );
        }
    }
    // Everything that has happened, from the beginning; a running program would go on waiting for more.
    let mut events = database.subscribe(&rotabase_engine::position::Positions::default());
    let first = events.next().await?;
    println!("{} entries with events so far, the first of shard {}", first.len(), first[0].shard);
    drop(session);
    database.close().await;
    std::fs::remove_dir_all(&directory).ok();
    Ok(())
}
