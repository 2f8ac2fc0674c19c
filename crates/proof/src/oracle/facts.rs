//! Oracle 4 for the statement as written: run naively in a transaction, it takes the locks and does the rewrites that its
//! facts name, and no others.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::effect::Effect;
use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::{Facts, LockClaim, WorkKind};
use concertina_plan::sql::ident::Name;
use tokio_postgres::Client;

use crate::compare::query;
use crate::oracle::Exhibit;

/// A relation that exists before the migration.
#[derive(Clone, Debug)]
struct Known {
    name: Name,
    kind: String,
    file: Option<String>,
    /// Itself and the partitioned tables above it.
    line: Vec<Name>,
    /// The table, if this is an index.
    table: Option<Name>,
    /// Writing its rows calls functions of users, whose reads are not the statement's.
    has_triggers: bool,
}

/// Judges the facts of every statement.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>) -> Result<()> {
    let copy = exhibit.start.copy().await?;
    let client = copy.connect().await?;
    let has_naive = exhibit.case.naive != exhibit.case.migration;
    let mut wrong = Vec::new();
    for written in &exhibit.plan.statements {
        let known = relations(&client).await?;
        let label = format!("line {}: {}", written.line, written.sql.lines().next().unwrap_or_default());
        let before: BTreeMap<u32, Known> = known;
        if !written.facts.transaction {
            outside(&client, &written.sql).await.context(label)?;
            continue;
        }
        client.batch_execute("BEGIN").await?;
        // The server counts on from the statements before until it finds time to publish their counts.
        let read = rows_read(&client).await?;
        if let Err(error) = client.batch_execute(&written.sql).await {
            client.batch_execute("ROLLBACK").await?;
            ensure!(has_naive, "{label}: {error:?}");
            break;
        }
        let observed = observe(&client, &before, &read).await?;
        client.batch_execute("COMMIT").await?;
        // A statement that was absorbed into an earlier one has no facts of its own.
        if !written.kinds.is_empty()
            && let Err(error) = compare(&written.facts, &before, &observed, exhibit)
        {
            wrong.push(format!("{label}: {error:#}"));
        }
    }
    drop(client);
    copy.remove().await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A statement that says it cannot run in a transaction block really cannot.
async fn outside(client: &Client, sql: &str) -> Result<()> {
    client.batch_execute("BEGIN").await?;
    let inside = client.batch_execute(sql).await;
    client.batch_execute("ROLLBACK").await?;
    ensure!(inside.is_err(), "it runs in a transaction block, and the facts say it cannot");
    client.batch_execute(sql).await.context("outside a transaction block")
}

/// What a statement did.
#[derive(Debug, Default)]
struct Observed {
    locks: BTreeMap<u32, LockMode>,
    files: BTreeMap<u32, Option<String>>,
    read: BTreeMap<u32, u64>,
}

async fn rows_read(client: &Client) -> Result<BTreeMap<u32, u64>> {
    let mut read = BTreeMap::new();
    for row in query(client, "SELECT relid::text, seq_tup_read::text FROM pg_stat_xact_user_tables").await? {
        let [Some(oid), Some(rows)] = &row[..] else { bail!("odd answer {row:?}") };
        read.insert(oid.parse()?, rows.parse()?);
    }
    Ok(read)
}

async fn observe(
    client: &Client,
    before: &BTreeMap<u32, Known>,
    read_before: &BTreeMap<u32, u64>,
) -> Result<Observed> {
    const LOCKS: &str = "SELECT relation::text, mode FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut observed = Observed::default();
    for row in query(client, LOCKS).await? {
        let [Some(oid), Some(mode)] = &row[..] else { bail!("odd answer {row:?}") };
        let mode = LockMode::from_pg_locks(mode).with_context(|| mode.clone())?;
        let strongest = observed.locks.entry(oid.parse()?).or_insert(mode);
        *strongest = (*strongest).max(mode);
    }
    for row in query(client, "SELECT oid::text, pg_relation_filenode(oid)::text FROM pg_class").await? {
        let [Some(oid), file] = &row[..] else { bail!("odd answer {row:?}") };
        observed.files.insert(oid.parse()?, file.clone());
    }
    observed.read = rows_read(client).await?;
    for (oid, rows) in &mut observed.read {
        *rows -= read_before.get(oid).copied().unwrap_or_default().min(*rows);
    }
    observed.locks.retain(|oid, _| before.contains_key(oid));
    Ok(observed)
}

fn compare(
    facts: &Facts,
    before: &BTreeMap<u32, Known>,
    seen: &Observed,
    exhibit: &Exhibit<'_>,
) -> Result<()> {
    // In the order of the steps: what is made here may get another name here.
    let mut made: Vec<&Name> = Vec::new();
    for effect in exhibit.plan.steps.iter().flat_map(|step| &step.provides) {
        match effect {
            Effect::Relation(relation) => made.push(&relation.name),
            Effect::RelationRenamed { from, to } if made.contains(&from) => made.push(to),
            _ => {}
        }
    }
    let written = |known: &Known| {
        facts.work.iter().any(|work| work.what == WorkKind::Rows && known.line.contains(&work.relation))
    };
    let calls_users = before.values().any(|known| known.has_triggers && written(known));
    let mut wrong = Vec::new();
    for (oid, known) in before.iter().filter(|(_, known)| !made.contains(&&known.name)) {
        let name = &known.name;
        let observed = seen.locks.get(oid).copied();
        // A lock on a table says as much of its indexes: nobody gets at them past it.
        let covers =
            |lock: &&LockClaim| lock.relation == *name || Some(&lock.relation) == known.table.as_ref();
        let claimed = facts.locks.iter().filter(covers).map(|l| l.mode).max();
        let table = matches!(known.kind.as_str(), "r" | "p" | "m" | "v");
        let relevant = if table { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
        if observed.is_some_and(|mode| mode >= relevant) && claimed < observed {
            wrong.push(format!("takes {observed:?} on {name}, the facts say {claimed:?}"));
        }
        let excused =
            |relation: &str| exhibit.case.expect.looser_facts.iter().any(|(name, _)| name == relation);
        let plain = format!("{}.{}", name.schema.as_str(), name.name.as_str());
        if table && claimed.is_some_and(|mode| mode >= relevant) && observed < claimed && !excused(&plain) {
            wrong.push(format!("takes only {observed:?} on {name}, the facts say {claimed:?}"));
        }
        let works = |what: &[WorkKind]| {
            facts.work.iter().any(|work| what.contains(&work.what) && known.line.contains(&work.relation))
        };
        let exists = seen.files.contains_key(oid);
        let rewritten = exists && seen.files.get(oid) != Some(&known.file);
        if known.kind == "r" && exists && rewritten != works(&[WorkKind::Rewrite]) {
            wrong.push(format!("{name} rewritten: {rewritten}, the facts say {:?}", facts.work));
        }
        let any = [WorkKind::Scan, WorkKind::IndexBuild, WorkKind::Rewrite, WorkKind::Rows];
        let read = seen.read.get(oid).copied().unwrap_or_default();
        if known.kind == "r" && read > 0 && !works(&any) && !calls_users {
            wrong.push(format!("reads {read} rows of {name}, the facts say nothing of it"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

async fn relations(client: &Client) -> Result<BTreeMap<u32, Known>> {
    const RELATIONS: &str = "
        SELECT c.oid::text, n.nspname, c.relname, c.relkind::text, pg_relation_filenode(c.oid)::text, i.inhparent::text,
               EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)::text, x.indrelid::text
        FROM pg_class AS c
        LEFT JOIN pg_index AS x ON x.indexrelid = c.oid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    let (mut parents, mut tables) = (BTreeMap::new(), BTreeMap::new());
    let mut known = BTreeMap::new();
    for row in query(client, RELATIONS).await? {
        let [Some(oid), Some(schema), Some(name), Some(kind), file, parent, triggers, table] = &row[..]
        else {
            bail!("odd answer {row:?}")
        };
        let oid: u32 = oid.parse()?;
        if let Some(parent) = parent {
            parents.insert(oid, parent.parse::<u32>()?);
        }
        if let Some(table) = table {
            tables.insert(oid, table.parse::<u32>()?);
        }
        let has_triggers = triggers.as_deref() == Some("true");
        let name = Name::new(schema.clone(), name.clone());
        let known_one = Known {
            name,
            kind: kind.clone(),
            file: file.clone(),
            line: Vec::new(),
            table: None,
            has_triggers,
        };
        known.insert(oid, known_one);
    }
    let names: BTreeMap<u32, Name> = known.iter().map(|(oid, known)| (*oid, known.name.clone())).collect();
    for (oid, known) in &mut known {
        let line = std::iter::successors(Some(*oid), |oid| parents.get(oid).copied());
        known.line = line.filter_map(|oid| names.get(&oid).cloned()).collect();
        known.table = tables.get(oid).and_then(|table| names.get(table)).cloned();
    }
    Ok(known)
}
