//! The shop's databases: loaded once, then copied, so that both runs start from the same files.

use anyhow::{Context, Result, ensure};
use concertina_lab::{Options, Server};

use super::clients::Acknowledged;

const LOAD: &str = include_str!("shop.sql");
/// The migration that both runs apply.
pub(crate) const MIGRATION: &str = include_str!("migration.sql");
/// Its name.
pub(crate) const MIGRATION_NAME: &str = "0001_total_cents";
/// The application's role: it owns its databases and is nothing else. The migrations run as this role, too.
pub(crate) const ROLE: &str = "shop";

const TEMPLATE: &str = "shop_template";

/// Settings that differ from PostgreSQL's own, as a small production server would have them.
pub(crate) const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "512MB"), ("max_wal_size", "4GB"), ("maintenance_work_mem", "256MB")];

/// How many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// In the table that is migrated.
    pub(crate) orders: u64,
    /// Customers: a tenth of the orders.
    pub(crate) customers: u64,
    /// Products: a two-hundredth.
    pub(crate) products: u64,
}

impl Size {
    /// For so many orders.
    pub(crate) fn of(orders: u64) -> Size {
        Size { orders, customers: (orders / 10).max(1), products: (orders / 200).max(1) }
    }
}

/// How the server is started: durable, or the comparison would be about a toy.
pub(crate) fn options() -> Options {
    SETTINGS.iter().fold(Options::new().durable(), |options, (name, value)| options.set(*name, *value))
}

/// Loads the template. Answers with the size of the database in bytes.
pub(crate) async fn load(server: &Server, size: Size) -> Result<u64> {
    let admin = server.connect("postgres").await?;
    admin.batch_execute(&format!("CREATE ROLE {ROLE} LOGIN")).await?;
    admin.batch_execute(&format!("CREATE DATABASE {TEMPLATE} OWNER {ROLE}")).await?;
    let shop = connect(server, TEMPLATE).await?;
    let sql = LOAD
        .replace(":customers", &size.customers.to_string())
        .replace(":products", &size.products.to_string())
        .replace(":rows", &size.orders.to_string());
    shop.batch_execute(&sql).await.context("loading the shop")?;
    // Visibility map and statistics, as a table in production has them; not allowed inside a batch.
    shop.batch_execute("VACUUM (ANALYZE)").await.context("VACUUM")?;
    let bytes: i64 =
        shop.query_one("SELECT pg_database_size(current_database())", &[]).await.context("sizing")?.get(0);
    Ok(bytes.unsigned_abs())
}

/// Copies the template, file by file where the server can choose.
pub(crate) async fn copy(server: &Server, name: &str) -> Result<()> {
    // The connection that loaded it may still be going.
    let admin = server.connect("postgres").await?;
    let still = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    admin.execute(still, &[&TEMPLATE]).await.context("ending connections to the template")?;
    let strategy = if server.installation().major >= 15 { " STRATEGY FILE_COPY" } else { "" };
    let sql = format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {TEMPLATE}{strategy}");
    admin.batch_execute(&sql).await.context(sql)
}

/// Drops the template, which takes as much disk as each of its copies.
pub(crate) async fn drop_template(server: &Server) -> Result<()> {
    server.drop_database(TEMPLATE).await
}

/// A connection as the application's role.
pub(crate) async fn connect(server: &Server, database: &str) -> Result<tokio_postgres::Client> {
    let url = server.url_as(ROLE, database);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .with_context(|| format!("connecting to {url}"))?;
    // A broken connection shows itself at the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

/// What is in the database after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Orders.
    pub(crate) rows: u64,
    /// Those whose `total_cents` is right: `round(total * 100)`.
    pub(crate) right: u64,
    /// Rows inserted since the start.
    pub(crate) inserted: u64,
    /// Updates of one row since the start.
    pub(crate) updated: u64,
    /// Columns, constraints, indexes and triggers of the shop's tables, as the server describes them.
    pub(crate) schema: Vec<String>,
}

impl State {
    /// Acknowledged writes that are not there. What was not acknowledged may be there or not.
    pub(crate) fn lost(&self, acknowledged: Acknowledged) -> u64 {
        acknowledged.inserted.saturating_sub(self.inserted)
            + acknowledged.updated.saturating_sub(self.updated)
    }
}

/// Looks at every row, and at the catalog.
pub(crate) async fn inspect(server: &Server, database: &str, size: Size) -> Result<State> {
    let client = connect(server, database).await?;
    let sql = "SELECT count(*), count(*) FILTER (WHERE total_cents = round(total * 100)), sum(version)::bigint FROM orders";
    let row = client.query_one(sql, &[]).await.context("counting orders")?;
    let (rows, right, updated): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let schema = client.query(SCHEMA, &[]).await.context("reading the schema")?;
    let schema: Vec<String> = schema.iter().map(|row| row.get(0)).collect();
    ensure!(!schema.is_empty(), "the schema is empty");
    Ok(State {
        rows: rows.unsigned_abs(),
        right: right.unsigned_abs(),
        inserted: rows.unsigned_abs().saturating_sub(size.orders),
        updated: updated.unsigned_abs(),
        schema,
    })
}

/// Source: <https://www.postgresql.org/docs/current/catalogs.html>. NOT NULL constraints of PostgreSQL 18 are among the
/// constraints as well.
const SCHEMA: &str = "
WITH tables AS (
    SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
)
SELECT line FROM (
    SELECT format('%s.%s %s%s default %s identity %s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                  CASE WHEN attnotnull THEN ' not null' END, pg_get_expr(adbin, adrelid), attidentity)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN (SELECT oid FROM tables) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('%s constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid),
                  CASE WHEN convalidated THEN 'valid' ELSE 'not valid' END)
    FROM pg_constraint WHERE conrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT format('%s %s', pg_get_indexdef(indexrelid), CASE WHEN indisvalid THEN 'valid' ELSE 'invalid' END)
    FROM pg_index WHERE indrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM tables) AND NOT tgisinternal
) AS lines (line)
ORDER BY line";
