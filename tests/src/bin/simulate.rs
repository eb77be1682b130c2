//! Runs simulations: `simulate --seed N` one, step by step the same each time; `simulate --seeds A..B` many. With
//! `--planted NAME`, or `all`, says which seed finds that bug first; with `--notes yes` says what happens, and when.

use std::process::ExitCode;

use rotabase_tests::simulation::{Bug, Options, Report, STEPS_DEFAULT, run};

const USAGE: &str = "usage: simulate (--seed N | --seeds A..B) [--steps N] [--planted NAME|all] [--log FILTER] [--notes yes]";

struct Arguments {
    seeds: std::ops::Range<u64>,
    steps: u32,
    planted: Vec<Bug>,
    notes: bool,
}

fn arguments() -> Option<Arguments> {
    let mut arguments =
        Arguments { seeds: 0..1, steps: STEPS_DEFAULT, planted: Vec::new(), notes: false };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next()?;
        match name.as_str() {
            "--seed" => {
                let seed = value.parse().ok()?;
                arguments.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let (from, to) = value.split_once("..")?;
                arguments.seeds = from.parse().ok()?..to.parse().ok()?;
            }
            "--log" => {
                let filter = tracing_subscriber::EnvFilter::try_new(value).ok()?;
                tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
            }
            "--notes" => arguments.notes = value == "yes",
            "--steps" => arguments.steps = value.parse().ok()?,
            "--planted" if value == "all" => arguments.planted = Bug::ALL.to_vec(),
            "--planted" => {
                let named = |bug: &&Bug| format!("{bug:?}") == value;
                arguments.planted.push(*Bug::ALL.iter().find(named)?);
            }
            _ => return None,
        }
    }
    Some(arguments)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]
fn main() -> ExitCode {
    let Some(Arguments { seeds, steps, planted, notes }) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut code = ExitCode::SUCCESS;
    if planted.is_empty() {
        for seed in seeds {
            let report = run(Options { seed, steps, planted: None, notes });
            println!("seed {seed}: {report}");
            if !report.wrong.is_empty() {
                code = ExitCode::FAILURE;
            }
        }
        return code;
    }
    for bug in planted {
        let options = |seed| Options { seed, steps, planted: Some(bug), notes };
        let found = seeds.clone().find_map(|seed| {
            Some((seed, run(options(seed))))
                .filter(|(_, report): &(_, Report)| !report.wrong.is_empty())
        });
        match found {
            Some((seed, report)) => println!("{bug:?}: seed {seed}: {}", report.wrong[0]),
            None => {
                println!("{bug:?}: not found");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
