//! Rows in quarantine: which still wait for a value, trying again, giving a value, and keeping switch, contract and undo from going on
//! without them.
//!
//! An entry says that the expression failed once. The row itself says whether it still matters: it may have been deleted, or corrected by
//! the application, and then the entry is void. Entries go only with their migration: a writer who finds one that is there writes none.

use concertina_plan::plan::{Blocks, Plan, Quarantined};
use concertina_plan::sql::ident::{Ident, literal};
use serde::Serialize;
use tokio_postgres::Client;

use crate::engine::{Engine, in_flight};
use crate::error::{Doing, Error, Failure};
use crate::executor::Run;
use crate::ledger::{self, MigrationRow};

/// A row in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number, by which `set` names it.
    pub id: i64,
    /// Migration.
    pub migration: String,
    /// Table, qualified and quoted.
    pub table: String,
    /// Column.
    pub column: String,
    /// Key columns and their values; empty where the table has no key, and the entry stands for all its rows.
    pub key: Vec<(String, String)>,
    /// What the expression raised when the row was written last.
    pub sqlstate: String,
    /// The same in words.
    pub message: String,
    /// When that was, RFC 3339.
    pub at: String,
    /// What it blocks.
    pub blocks: Blocks,
}

impl Entry {
    /// `id=7`, or what there is to say instead.
    pub fn row(&self) -> String {
        if self.key.is_empty() {
            return "some rows".to_owned();
        }
        self.key.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" ")
    }
}

/// Rows of one column in quarantine, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Table, qualified and quoted.
    pub table: String,
    /// Column.
    pub column: String,
    /// What they block.
    pub blocks: Blocks,
    /// How many entries; of a table without a key one stands for all its rows.
    pub rows: usize,
    /// A few of them: `id=7: invalid input syntax for type integer: "x" (22P02)`.
    pub examples: Vec<String>,
}

/// What `retry` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Entries whose rows have their value now, or need none any more.
    pub repaired: Vec<Entry>,
    /// Those that still wait.
    pub left: Vec<Entry>,
}

const EXAMPLES: usize = 5;

/// Rows that still wait, of one migration, in the order in which they came.
///
/// # Errors
/// [`Error::Sql`], [`Error::Connection`].
pub(crate) async fn open(client: &Client, row: &MigrationRow) -> Result<Vec<Entry>, Error> {
    let Some(plan) = row.plan.as_ref().filter(|_| in_flight(row.state)) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for quarantined in places(plan) {
        if counts(client, quarantined).await? {
            entries.extend(of(client, &row.name, quarantined).await?);
        }
    }
    entries.sort_by_key(|entry| entry.id);
    Ok(entries)
}

fn places(plan: &Plan) -> impl Iterator<Item = &Quarantined> {
    plan.steps.iter().filter_map(|step| step.quarantines.as_ref())
}

/// While the function and the column are there, what the one computes for the other is needed. The function comes first and goes last.
async fn counts(client: &Client, place: &Quarantined) -> Result<bool, Error> {
    let sql = "SELECT pg_catalog.to_regproc($1) IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_attribute \
               WHERE attrelid = pg_catalog.to_regclass($2) AND attname = $3 AND NOT attisdropped)";
    let (attempt, table) = (place.attempt.to_string(), place.table.to_string());
    let there = client.query_one(sql, &[&attempt, &table, &place.target.as_str()]).await;
    Ok(there.doing("look for rows in quarantine")?.get(0))
}

async fn of(client: &Client, migration: &str, place: &Quarantined) -> Result<Vec<Entry>, Error> {
    // The newest entry of each row, and what is raised now where that can be told.
    let known = |raised: &str, condition: &str| {
        format!(
            "SELECT DISTINCT ON (q.key) q.id, q.key, q.sqlstate, coalesce({raised}, q.message) AS message, \
             to_char(q.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS at FROM concertina.quarantine AS q \
             {condition} AND (q.migration, q.relation, q.attribute) = ($1, $2, $3) ORDER BY q.key, q.id DESC"
        )
    };
    let (table, column) = (place.table.to_string(), place.column.as_str());
    let doing = "look for rows in quarantine";
    // A row that a policy hides would look as if it were gone.
    client.batch_execute("SET row_security = off").await.doing(doing)?;
    let found =
        client.query(&known("concertina_try.error", &waits(place)), &[&migration, &table, &column]).await;
    client.batch_execute("RESET row_security").await.doing(doing)?;
    let found = match found {
        // Whoever may not look at the rows is told of all entries.
        Err(error) if Failure::of(&error) == Failure::Privilege => {
            client.query(&known("NULL", "WHERE NOT q.settled"), &[&migration, &table, &column]).await
        }
        other => other,
    };
    let entry = |row: &tokio_postgres::Row| {
        let values: Vec<String> = row.get("key");
        let columns = place.key.iter().map(|(column, _)| column.as_str().to_owned());
        Entry {
            id: row.get("id"),
            migration: migration.to_owned(),
            table: table.clone(),
            column: column.to_owned(),
            key: columns.zip(values).collect(),
            sqlstate: row.get("sqlstate"),
            message: row.get("message"),
            at: row.get("at"),
            blocks: place.blocks,
        }
    };
    Ok(found.doing(doing)?.iter().map(entry).collect())
}

/// Joins the row of entry `q`, if it still waits.
fn waits(place: &Quarantined) -> String {
    format!(
        "CROSS JOIN LATERAL (SELECT concertina_try.error FROM {} AS concertina_row CROSS JOIN LATERAL {} AS concertina_try WHERE {} \
         AND concertina_row.{} IS NULL AND (concertina_try.error IS NOT NULL OR NOT concertina_try.value IS NULL) LIMIT 1) \
         AS concertina_try WHERE true",
        place.table,
        tried(place),
        same(place),
        place.target
    )
}

/// The expression tried on the row.
fn tried(place: &Quarantined) -> String {
    let sources: Vec<String> =
        place.sources.iter().map(|source| format!("concertina_row.{source}")).collect();
    format!("{}({})", place.attempt, sources.join(", "))
}

/// The row is that of entry `q`. Without a key the entry is of every row.
fn same(place: &Quarantined) -> String {
    if place.key.is_empty() { "true".to_owned() } else { keyed(place, |at| format!("(q.key[{}])", at + 1)) }
}

/// The row is this entry's.
fn this(place: &Quarantined, entry: &Entry) -> String {
    keyed(place, |at| entry.key.get(at).map_or_else(|| "NULL".to_owned(), |(_, value)| literal(value)))
}

/// The row's key is these texts.
fn keyed(place: &Quarantined, text: impl Fn(usize) -> String) -> String {
    let part = |(at, (column, data_type)): (usize, &(Ident, String))| {
        format!("concertina_row.{column} = {}::{data_type}", text(at))
    };
    place.key.iter().enumerate().map(part).collect::<Vec<_>>().join(" AND ")
}

/// Entries by column.
pub(crate) fn summaries(entries: &[Entry]) -> Vec<Summary> {
    let mut all: Vec<Summary> = Vec::new();
    for entry in entries {
        let same = |summary: &&mut Summary| {
            (&summary.table, &summary.column, summary.blocks) == (&entry.table, &entry.column, entry.blocks)
        };
        if all.iter_mut().find(same).is_none() {
            all.push(Summary {
                table: entry.table.clone(),
                column: entry.column.clone(),
                blocks: entry.blocks,
                rows: 0,
                examples: Vec::new(),
            });
        }
        let Some(summary) = all.iter_mut().find(same) else { continue };
        summary.rows += 1;
        if summary.examples.len() < EXAMPLES {
            summary.examples.push(format!("{}: {} ({})", entry.row(), entry.message, entry.sqlstate));
        }
    }
    all
}

/// Refuses to go on without rows in quarantine.
///
/// # Errors
/// [`Error::Blocked`], [`Error::Sql`], [`Error::Connection`].
pub(crate) async fn refuse(
    client: &Client,
    row: &MigrationRow,
    command: &'static str,
    blocks: Blocks,
) -> Result<(), Error> {
    let mut entries = open(client, row).await?;
    entries.retain(|entry| entry.blocks == blocks);
    if entries.is_empty() {
        return Ok(());
    }
    let what = summaries(&entries).into_iter().map(|summary| {
        format!(
            "{} of {} waits for a value of {} in quarantine ({})",
            if summary.rows == 1 { "a row".to_owned() } else { format!("{} rows", summary.rows) },
            summary.table,
            summary.column,
            summary.examples.join("; ")
        )
    });
    Err(Error::Blocked {
        migration: row.name.clone(),
        command,
        what: what.collect::<Vec<_>>().join("; "),
        hint: "nothing was changed. Correct the rows through the application, or give values with `concertina quarantine set`; \
               `concertina quarantine list` shows all of them. Then run the same command again"
            .to_owned(),
    })
}

/// Forgets all entries of a migration that is over.
///
/// # Errors
/// [`Error::Sql`], [`Error::Connection`].
pub(crate) async fn forget(client: &Client, migration: &str) -> Result<(), Error> {
    let sql = "DELETE FROM concertina.quarantine WHERE migration = $1";
    client.execute(sql, &[&migration]).await.doing("forget rows in quarantine")?;
    Ok(())
}

impl Engine {
    /// Rows in quarantine, of all migrations in flight. Read-only.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn quarantine(&self) -> Result<Vec<Entry>, Error> {
        let session = self.open().await?;
        let mut entries = Vec::new();
        if ledger::exists(&session.client).await? {
            ledger::check(&session.client).await?;
            for row in ledger::migrations(&session.client).await? {
                entries.extend(open(&session.client, &row).await?);
            }
        }
        Ok(entries)
    }

    /// Evaluates the expression again for every row in quarantine, or those of one migration.
    ///
    /// # Errors
    /// As [`Engine::expand`]; what was repaired before stays repaired.
    pub async fn retry_quarantine(&self, only: Option<&str>) -> Result<Retried, Error> {
        let mut run = self.runner().await?;
        let result = Box::pin(retry(&mut run, only)).await;
        run.close().await;
        result
    }

    /// Gives the row of an entry its value, as a literal of the column's type.
    ///
    /// # Errors
    /// [`Error::Blocked`] where there is no such entry or its row cannot be told from others, and as [`Engine::expand`].
    pub async fn set_quarantine(&self, id: i64, value: &str) -> Result<Entry, Error> {
        let mut run = self.runner().await?;
        let result = Box::pin(set(&mut run, id, value)).await;
        run.close().await;
        result
    }
}

async fn retry(run: &mut Run, only: Option<&str>) -> Result<Retried, Error> {
    let mut done = Retried::default();
    for row in ledger::migrations(&run.work.client).await? {
        let wanted = only.is_none_or(|only| only == row.name);
        let Some(plan) = row.plan.as_ref().filter(|_| wanted && in_flight(row.state)) else { continue };
        run.use_search_path(plan).await?;
        let before = open(&run.work.client, &row).await?;
        for entry in &before {
            run.check_stop()?;
            let place = places(plan).find(|place| is_of(place, entry) && !place.key.is_empty());
            let Some(place) = place else { continue };
            let again = tried(place);
            let sql = format!(
                "UPDATE {} AS concertina_row SET {} = ({again}).value WHERE {} AND concertina_row.{} IS NULL \
                 AND ({again}).error IS NULL AND NOT (({again}).value IS NULL)",
                place.table,
                place.target,
                this(place, entry),
                place.target
            );
            write(run, &sql, &format!("repair {} of {}", entry.row(), entry.table)).await?;
        }
        let left = open(&run.work.client, &row).await?;
        let still = |entry: &Entry| left.iter().any(|left| left.id == entry.id);
        let repaired: Vec<Entry> = before.into_iter().filter(|entry| !still(entry)).collect();
        if !repaired.is_empty() {
            let said = format!("{} repaired, {} left", repaired.len(), left.len());
            run.log(&row.name, "quarantine_retried", &said).await?;
        }
        done.repaired.extend(repaired);
        done.left.extend(left);
    }
    Ok(done)
}

async fn set(run: &mut Run, id: i64, value: &str) -> Result<Entry, Error> {
    let no = |migration: &str, what: String, hint: &str| Error::Blocked {
        migration: migration.to_owned(),
        command: "quarantine set",
        what,
        hint: hint.to_owned(),
    };
    for row in ledger::migrations(&run.work.client).await? {
        let Some(plan) = row.plan.as_ref().filter(|_| in_flight(row.state)) else { continue };
        let entries = open(&run.work.client, &row).await?;
        let Some(entry) = entries.into_iter().find(|entry| entry.id == id) else { continue };
        let place = places(plan).find(|place| is_of(place, &entry) && !place.key.is_empty());
        let Some(place) = place else {
            return Err(no(
                &row.name,
                format!("{} has no unique NOT NULL key, so none of its rows can be named", entry.table),
                "nothing was changed. Correct the rows through the application, by a condition that finds them",
            ));
        };
        run.use_search_path(plan).await?;
        let sql = format!(
            "UPDATE {} AS concertina_row SET {} = {}::{} WHERE {} AND concertina_row.{} IS NULL",
            place.table,
            place.target,
            literal(value),
            place.data_type,
            this(place, &entry),
            place.target
        );
        let settle = format!(
            "UPDATE concertina.quarantine AS q SET settled = true FROM concertina.quarantine AS this WHERE this.id = {id} \
             AND (q.key, q.migration, q.relation, q.attribute) = (this.key, this.migration, this.relation, this.attribute)"
        );
        write(run, &format!("{settle}; {sql}"), &format!("set {} of {}", entry.row(), entry.table)).await?;
        let said = format!("{} of {}: {} was given", entry.row(), entry.table, entry.column);
        run.log(&row.name, "quarantine_set", &said).await?;
        return Ok(entry);
    }
    Err(no(
        "anything",
        format!("no row waits under number {id}"),
        "nothing was changed. `concertina quarantine list` shows those that do",
    ))
}

fn is_of(place: &Quarantined, entry: &Entry) -> bool {
    place.table.to_string() == entry.table
        && place.column.as_str() == entry.column
        && place.blocks == entry.blocks
}

async fn write(run: &Run, sql: &str, doing: &str) -> Result<(), Error> {
    let client = &run.work.client;
    run.in_ledger(async { client.batch_execute(sql).await.doing(doing) }).await
}
