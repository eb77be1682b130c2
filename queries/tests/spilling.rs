//! What the memory does not hold goes on on disk, and gives the same rows.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::path::Path;
use std::sync::Arc;

use rotabase_queries::exec::ExecContext;
use rotabase_queries::optimize::optimize;

/// Enough rows for several cuts into parts.
const QUERIES: [&str; 16] = [
    "SELECT DISTINCT n % 5000 FROM generate_series(1, 20000) g(n)",
    "SELECT n % 5000 FROM generate_series(1, 20000) g(n) UNION SELECT n FROM generate_series(4000, 9000) g(n)",
    "SELECT n FROM generate_series(1, 9000) g(n) INTERSECT SELECT n * 2 FROM generate_series(1, 9000) g(n)",
    "SELECT n % 4000 FROM generate_series(1, 9000) g(n) INTERSECT ALL SELECT n % 3000 FROM generate_series(1, 9000) g(n)",
    "SELECT n % 4000 FROM generate_series(1, 9000) g(n) EXCEPT SELECT n FROM generate_series(1, 1500) g(n)",
    "SELECT n FROM generate_series(1, 9000) g(n) EXCEPT ALL SELECT n * 2 FROM generate_series(1, 9000) g(n)",
    "SELECT n % 4000, count(*), sum(n), min(n::text), count(DISTINCT n % 2) FROM generate_series(1, 20000) g(n) GROUP BY 1",
    "SELECT n % 700, n % 11, grouping(n % 700, n % 11), count(*) FROM generate_series(1, 9000) g(n) GROUP BY CUBE (n % 700, n % 11)",
    "SELECT l.n, r.m FROM generate_series(1, 9000) l(n) JOIN (SELECT m, m % 5000 AS k FROM generate_series(1, 9000) g(m)) r ON r.k = l.n",
    "SELECT l.n, r.m FROM generate_series(1, 9000) l(n) LEFT JOIN generate_series(5000, 15000) r(m) ON r.m = l.n AND r.m % 3 = 0",
    "SELECT l.n, r.m FROM generate_series(1, 9000) l(n) FULL JOIN generate_series(5000, 15000) r(m) ON r.m = l.n",
    "SELECT n FROM generate_series(1, 9000) l(n) WHERE NOT EXISTS (SELECT 1 FROM generate_series(5000, 15000) r(m) WHERE r.m = l.n)",
    "SELECT n, row_number() OVER (PARTITION BY n % 100 ORDER BY n DESC), sum(n) OVER (PARTITION BY n % 37 ORDER BY n ROWS 2 PRECEDING), lag(n) OVER (PARTITION BY n % 100 ORDER BY n DESC) FROM generate_series(1, 9000) g(n)",
    "WITH c AS MATERIALIZED (SELECT n, n::text || 'x' AS t FROM generate_series(1, 9000) g(n)) SELECT count(*), min(a.t) FROM c a JOIN c b ON a.n = b.n + 1",
    "WITH RECURSIVE r(n) AS (SELECT n FROM generate_series(1, 5000) g(n) UNION ALL SELECT n + 5000 FROM r WHERE n < 15000) SELECT count(*), sum(n) FROM r",
    "SELECT n FROM generate_series(1, 20000) g(n) ORDER BY n % 100 DESC, n",
];

fn context(directory: &Path, memory: usize) -> ExecContext {
    ExecContext {
        memory_bytes_max: memory,
        spill_directory: Some(Arc::from(directory)),
        ..common::context()
    }
}

#[test]
fn what_is_put_on_disk_gives_the_same_rows() {
    let catalog = common::catalog();
    let directory = tempfile::tempdir().unwrap();
    for query in QUERIES {
        let plan = Arc::new(optimize(common::plan(&catalog, query).unwrap()));
        let run = |context| common::comparable(query, common::run(&plan, &context).unwrap());
        let expected = run(common::context());
        let found = run(context(directory.path(), 100_000));
        assert_eq!(found, expected, "{query}");
        // The same rows in the same order, each time.
        let again = common::run(&plan, &context(directory.path(), 100_000)).unwrap();
        assert_eq!(common::run(&plan, &context(directory.path(), 100_000)).unwrap(), again);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no file is left");
}

#[test]
fn what_is_put_on_disk_is_bounded() {
    let catalog = common::catalog();
    let directory = tempfile::tempdir().unwrap();
    for query in QUERIES {
        let plan = Arc::new(optimize(common::plan(&catalog, query).unwrap()));
        let context = ExecContext { spill_bytes_max: 1024, ..context(directory.path(), 50_000) };
        let error = common::run(&plan, &context).expect_err("it does not fit");
        assert_eq!(error.state.0, "53400", "{query}");
    }
}

#[test]
fn a_statement_on_disk_can_be_cancelled() {
    let catalog = common::catalog();
    let directory = tempfile::tempdir().unwrap();
    for query in QUERIES {
        let plan = Arc::new(optimize(common::plan(&catalog, query).unwrap()));
        let context = context(directory.path(), 50_000);
        let mut cursor = rotabase_queries::exec::Cursor::open(plan, context.clone()).unwrap();
        let _ = cursor.next_rows(1).unwrap();
        context.cancel.cancel();
        assert!(cursor.next().is_err(), "{query}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no file is left");
}
