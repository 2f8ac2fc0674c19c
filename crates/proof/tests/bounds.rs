//! The CHECK that a plan writes for a partition's bound is, to PostgreSQL, what the bound says: with it ATTACH reads no row of the
//! new partition, nor of the DEFAULT partition; without it ATTACH reads them all.

use anyhow::{Context, Result, ensure};
use concertina_plan::plan::{Action, Plan};
use concertina_proof::drive;
use concertina_proof::world::{Database, World};
use concertina_run::state::MigrationFile;
use tokio_postgres::Client;

/// `(columns, key, bound, a row within it, a row that the DEFAULT partition has)`
const BOUNDS: &[(&str, &str, &str, &str, &str)] = &[
    ("k smallint", "RANGE (k)", "FOR VALUES FROM (1) TO (10)", "5", "50"),
    ("k int", "RANGE (k)", "FOR VALUES FROM ('1') TO (10)", "5", "50"),
    ("k bigint", "RANGE (k)", "FOR VALUES FROM (-10) TO (10)", "5", "50"),
    ("k bigint", "RANGE (k)", "FOR VALUES FROM (MINVALUE) TO (10)", "5", "50"),
    ("k bigint", "RANGE (k)", "FOR VALUES FROM (10) TO (MAXVALUE)", "50", "5"),
    ("k numeric(10,2)", "RANGE (k)", "FOR VALUES FROM (1) TO (10.5)", "5", "50"),
    ("k double precision", "RANGE (k)", "FOR VALUES FROM (1.5) TO (10)", "5", "50"),
    ("k text", "RANGE (k)", "FOR VALUES FROM ('a') TO ('m')", "'b'", "'n'"),
    ("k text COLLATE \"C\"", "RANGE (k)", "FOR VALUES FROM ('a') TO ('m')", "'b'", "'n'"),
    ("k varchar(20)", "RANGE (k)", "FOR VALUES FROM ('a') TO ('m')", "'b'", "'n'"),
    ("k char(5)", "RANGE (k)", "FOR VALUES FROM ('a') TO ('m')", "'b'", "'n'"),
    (
        "k date",
        "RANGE (k)",
        "FOR VALUES FROM ('2024-01-01') TO (date '2025-01-01')",
        "'2024-05-05'",
        "'2026-01-01'",
    ),
    (
        "k timestamp",
        "RANGE (k)",
        "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'::date)",
        "'2024-05-05'",
        "'2026-01-01'",
    ),
    (
        "k timestamptz(3)",
        "RANGE (k)",
        "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "'2024-05-05'",
        "'2026-01-01'",
    ),
    ("k inet", "RANGE (k)", "FOR VALUES FROM ('1.0.0.0') TO ('2.0.0.0')", "'1.1.1.1'", "'9.9.9.9'"),
    (
        "k uuid",
        "RANGE (k)",
        "FOR VALUES FROM ('00000000-0000-0000-0000-000000000000') TO ('80000000-0000-0000-0000-000000000000')",
        "'10000000-0000-0000-0000-000000000000'",
        "'90000000-0000-0000-0000-000000000000'",
    ),
    ("k int, l int", "RANGE (k, l)", "FOR VALUES FROM (1, 5) TO (10, 3)", "10, 2", "10, 3"),
    ("k int, l text", "RANGE (k, l)", "FOR VALUES FROM (1, 'a') TO (1, 'm')", "1, 'b'", "1, 'n'"),
    ("k int, l int", "RANGE (k, l)", "FOR VALUES FROM (1, MINVALUE) TO (9, MAXVALUE)", "9, 9", "10, 1"),
    ("k int, l int", "RANGE (k, l)", "FOR VALUES FROM (1, MINVALUE) TO (1, MAXVALUE)", "1, 9", "2, 1"),
    ("k int, l int", "RANGE (k, l)", "FOR VALUES FROM (1, MAXVALUE) TO (9, MINVALUE)", "2, 9", "1, 1"),
    (
        "k text, l int, m date",
        "RANGE (k, l, m)",
        "FOR VALUES FROM ('a', 5, '2024-01-01') TO ('b', 3, '2025-01-01')",
        "'b', 3, '2024-01-01'",
        "'b', 3, '2025-01-01'",
    ),
    ("k text", "LIST (k)", "FOR VALUES IN ('a')", "'a'", "'b'"),
    ("k text", "LIST (k)", "FOR VALUES IN ('a', 'c')", "'a'", "'b'"),
    ("k text", "LIST (k)", "FOR VALUES IN ('a', NULL)", "NULL", "'b'"),
    ("k text", "LIST (k)", "FOR VALUES IN (NULL)", "NULL", "'b'"),
    ("k varchar(9)", "LIST (k)", "FOR VALUES IN ('a', 'c', NULL)", "'a'", "'b'"),
    ("k boolean", "LIST (k)", "FOR VALUES IN (true)", "true", "false"),
    ("k mood", "LIST (k)", "FOR VALUES IN ('happy', 'glad')", "'happy'", "'sad'"),
    ("k positive", "LIST (k)", "FOR VALUES IN (5)", "5", "6"),
    ("k int", "HASH (k)", "FOR VALUES WITH (MODULUS 1, REMAINDER 0)", "5", ""),
    (
        "k uuid, l timestamptz",
        "HASH (k, l)",
        "FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "gen_random_uuid(), now()",
        "",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn attach_reads_no_row() -> Result<()> {
    let world = World::start().await?;
    let hundred = (0..100).map(|i| format!("'v{i}'")).collect::<Vec<_>>().join(", ");
    let long_text = format!("FOR VALUES IN ({hundred})");
    let numbers = (0..500).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let long_numbers = format!("FOR VALUES IN ({numbers})");
    let long = [
        ("k varchar(9)", "LIST (k)", long_text.as_str(), "'v5'", "'b'"),
        ("k int", "LIST (k)", long_numbers.as_str(), "5", "-5"),
    ];
    let types =
        "CREATE TYPE mood AS ENUM ('happy', 'glad', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0)";
    let database = world.database(types).await?;
    let client = database.connect().await?;
    let mut wrong = Vec::new();
    for bound in BOUNDS.iter().copied().chain(long) {
        if let Err(error) = check(&database, &client, bound).await {
            wrong.push(format!("{} by {} {}: {error:#}", bound.0, bound.1, bound.2));
            client.batch_execute("ROLLBACK").await?;
        }
        client.batch_execute("DROP TABLE IF EXISTS p, c").await?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn check(
    database: &Database<'_>,
    client: &Client,
    (columns, key, bound, within, rest): (&str, &str, &str, &str, &str),
) -> Result<()> {
    let default = match rest {
        "" => String::new(),
        rest => format!("CREATE TABLE d PARTITION OF p DEFAULT; INSERT INTO d VALUES ({rest}), ({rest});"),
    };
    let schema = format!(
        "CREATE TABLE p ({columns}) PARTITION BY {key}; {default}
         CREATE TABLE c (LIKE p); INSERT INTO c VALUES ({within}), ({within});"
    );
    client.batch_execute(&schema).await?;
    let sql = format!("ALTER TABLE p ATTACH PARTITION c {bound}");
    let file = MigrationFile { name: "0001_attach".to_owned(), text: sql.clone() };
    let plan = match drive::plan(&database.url(), &file).await? {
        Ok(plan) => plan,
        Err(refusal) => anyhow::bail!("it is refused: {}", drive::words(&refusal)),
    };
    ensure!(read(client, &[sql], "ROLLBACK").await? > 0, "as written it reads no row: nothing is shown here");
    let last = run(client, &plan).await?;
    ensure!(last == 0, "ATTACH reads {last} rows");
    Ok(())
}

/// Runs the steps, and says how many rows the last one read.
async fn run(client: &Client, plan: &Plan) -> Result<u64> {
    let mut last = 0;
    for step in &plan.steps {
        last = match &step.action {
            Action::Transaction { sql } => read(client, sql, "COMMIT").await,
            Action::Long { sql } => read(client, std::slice::from_ref(sql), "COMMIT").await,
            Action::Proof { query, .. } => {
                let rows = client.query(query, &[]).await?;
                ensure!(rows.is_empty(), "{query} finds rows");
                Ok(0)
            }
            Action::Alone { .. } | Action::Backfill(_) => {
                anyhow::bail!("{} is not expected here", step.title)
            }
        }
        .with_context(|| step.title.clone())?;
    }
    Ok(last)
}

/// Rows that sequential scans of these statements read, in one transaction that is ended so.
async fn read(client: &Client, sql: &[String], end: &str) -> Result<u64> {
    const READ: &str = "SELECT coalesce(sum(seq_tup_read), 0)::int8 FROM pg_stat_xact_user_tables";
    client.batch_execute("BEGIN").await?;
    let before: i64 = client.query_one(READ, &[]).await?.get(0);
    for sql in sql {
        client.batch_execute(sql).await.with_context(|| sql.clone())?;
    }
    let after: i64 = client.query_one(READ, &[]).await?.get(0);
    client.batch_execute(end).await?;
    Ok(u64::try_from(after - before)?)
}
