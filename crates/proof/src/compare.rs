//! Whether two databases hold the same: schemas by `pg_dump`, rows without regard to their order, sequences; and what we
//! left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use concertina_lab::quote_ident;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::case::ColumnOrder;
use crate::world::Database;

/// Everything that is compared of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// `pg_dump --schema-only` without our own schemas.
    pub schema: String,
    /// Rows as text, sorted, by table; columns by name.
    pub rows: BTreeMap<String, Vec<String>>,
    /// Where each sequence stands, by its name and owning column.
    pub sequences: BTreeMap<String, String>,
}

/// Takes a [`Picture`].
///
/// # Errors
/// When the server or `pg_dump` fails.
pub async fn picture(database: &Database<'_>, volatile: &[String]) -> Result<Picture> {
    let client = database.connect().await?;
    Ok(Picture {
        schema: dump(database).await?,
        rows: rows(&client, volatile).await.context("reading the rows")?,
        sequences: sequences(&client, volatile).await.context("reading the sequences")?,
    })
}

impl Picture {
    /// Says what differs from `expected`.
    ///
    /// # Errors
    /// The difference.
    pub fn same_as(&self, expected: &Picture, order: ColumnOrder) -> Result<()> {
        self.same_schema_as(expected, order)?;
        self.same_data_as(expected)?;
        ensure!(
            self.sequences == expected.sequences,
            "sequences differ: {:?}, expected {:?}",
            self.sequences,
            expected.sequences
        );
        Ok(())
    }

    /// Says where the schema differs from `expected`.
    ///
    /// # Errors
    /// The difference.
    pub fn same_schema_as(&self, expected: &Picture, order: ColumnOrder) -> Result<()> {
        let normal = |dump: &str| match order {
            ColumnOrder::Same => dump.to_owned(),
            ColumnOrder::Differs => without_column_order(dump),
        };
        let (got, wanted) = (normal(&self.schema), normal(&expected.schema));
        if got != wanted {
            bail!("the schema differs (- expected, + got):\n{}", difference(&wanted, &got));
        }
        Ok(())
    }

    /// Says where the rows differ from `expected`.
    ///
    /// # Errors
    /// The difference.
    pub fn same_data_as(&self, expected: &Picture) -> Result<()> {
        let tables: BTreeSet<&String> = self.rows.keys().chain(expected.rows.keys()).collect();
        for table in tables {
            let none = Vec::new();
            let got = self.rows.get(table).unwrap_or(&none);
            let wanted = expected.rows.get(table).unwrap_or(&none);
            if got != wanted {
                let difference = difference(&wanted.join("\n"), &got.join("\n"));
                let first: Vec<&str> = difference.lines().take(12).collect();
                bail!(
                    "rows of {table} differ, {} instead of {} (- expected, + got):\n{}",
                    got.len(),
                    wanted.len(),
                    first.join("\n")
                );
            }
        }
        Ok(())
    }
}

/// The schema as SQL, without the schemas that are ours.
///
/// # Errors
/// When `pg_dump` fails.
pub async fn dump(database: &Database<'_>) -> Result<String> {
    let mut command = database.world().server.client_program("pg_dump")?;
    command
        .args([
            "--schema-only",
            "--exclude-schema=concertina",
            "--exclude-schema=concertina_archive",
            "--dbname",
        ])
        .arg(database.name())
        .stdin(Stdio::null());
    let output = command.output().await.context("running pg_dump")?;
    ensure!(output.status.success(), "pg_dump failed: {}", String::from_utf8_lossy(&output.stderr));
    let noise = ["\\restrict ", "\\unrestrict ", "-- Dumped "];
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !noise.iter().any(|start| line.starts_with(start)));
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// Sorts the lines inside each `CREATE TABLE (…)`.
fn without_column_order(dump: &str) -> String {
    let mut out = Vec::new();
    let mut inside: Option<Vec<String>> = None;
    for line in dump.lines() {
        match &mut inside {
            None => {
                out.push(line.to_owned());
                if line.starts_with("CREATE ") && line.contains(" TABLE ") && line.ends_with('(') {
                    inside = Some(Vec::new());
                }
            }
            Some(columns) if line.starts_with(')') => {
                columns.sort();
                out.append(columns);
                out.push(line.to_owned());
                inside = None;
            }
            Some(columns) => columns.push(line.trim_end_matches(',').to_owned()),
        }
    }
    out.join("\n")
}

/// Tables that hold rows, ours and the system's left out.
const TABLES: &str = "
    SELECT n.nspname, c.relname, array_to_string(array_agg(a.attname ORDER BY a.attname), E'\\x01')
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'concertina', 'concertina_archive')
    GROUP BY n.nspname, c.relname";

async fn rows(client: &Client, volatile: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for table in query(client, TABLES).await? {
        let [Some(schema), Some(name), columns] = &table[..] else { bail!("odd answer {table:?}") };
        let columns = columns.as_deref().unwrap_or_default();
        let is_volatile = |column: &str| volatile.contains(&format!("{schema}.{name}.{column}"));
        let (moving, fixed): (Vec<&str>, Vec<&str>) =
            columns.split('\x01').filter(|column| !column.is_empty()).partition(|column| is_volatile(column));
        let from = format!("{}.{}", quote_ident(schema), quote_ident(name));
        let fixed: Vec<String> = fixed.into_iter().map(quote_ident).collect();
        let mut rows: Vec<String> =
            query(client, &format!("SELECT ROW({})::text FROM ONLY {from}", fixed.join(", ")))
                .await?
                .into_iter()
                .map(|row| row.into_iter().flatten().collect())
                .collect();
        rows.sort();
        for column in moving {
            let quoted = quote_ident(column);
            let sql = format!("SELECT count({quoted}), least(count(DISTINCT {quoted}), 2) FROM ONLY {from}");
            let counts: Vec<String> = query(client, &sql).await?.concat().into_iter().flatten().collect();
            rows.push(format!("{column}: set, distinct (2 for several): {}", counts.join(", ")));
        }
        all.insert(from, rows);
    }
    Ok(all)
}

const SEQUENCES: &str = "
    SELECT s.schemaname, s.sequencename, s.last_value::text,
           d.refobjid::regclass::text, tn.nspname || '.' || t.relname || '.' || a.attname, quote_ident(a.attname)
    FROM pg_sequences AS s
    JOIN pg_class AS c ON c.relname = s.sequencename
    JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_class AS t ON t.oid = d.refobjid
    LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE s.schemaname NOT IN ('concertina', 'concertina_archive')";

/// Where each stands. A sequence that fills a volatile column may have skipped values: of it only counts whether the next
/// value is still free.
async fn sequences(client: &Client, volatile: &[String]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for row in query(client, SEQUENCES).await? {
        let [Some(schema), Some(name), last, table, owner, column] = &row[..] else {
            bail!("odd answer {row:?}")
        };
        let sequence = format!("{schema}.{name}");
        let last: Option<i64> = last.as_deref().map(str::parse).transpose().context("last_value")?;
        if let (Some(table), Some(owner), Some(column)) = (table, owner, column)
            && volatile.contains(owner)
        {
            let highest = query(client, &format!("SELECT max({column})::text FROM {table}")).await?.concat();
            let highest: Option<i64> =
                highest.into_iter().flatten().next().map(|max| max.parse()).transpose()?;
            let side = if last >= highest { "ahead of" } else { "behind" };
            all.insert(sequence, format!("{side} {owner}"));
        } else {
            all.insert(sequence, format!("at {last:?}"));
        }
    }
    Ok(all)
}

/// What lies in our two schemas, as sorted descriptions; the ledger's own objects are there as soon as it is initialised.
///
/// # Errors
/// When the server fails.
pub async fn ours(client: &Client) -> Result<BTreeSet<String>> {
    const OURS: &str = "
        SELECT 'relation ' || c.oid::regclass::text FROM pg_class AS c
        WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('concertina', 'concertina_archive'))
          AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
        UNION ALL
        SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('concertina', 'concertina_archive'))
        UNION ALL
        SELECT 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass::text FROM pg_trigger AS t
        WHERE NOT t.tgisinternal AND t.tgname LIKE '%concertina%'
        UNION ALL
        SELECT 'constraint ' || c.conname || ' on ' || c.conrelid::regclass::text FROM pg_constraint AS c
        WHERE c.conname LIKE '%concertina%' AND c.connamespace NOT IN
              (SELECT oid FROM pg_namespace WHERE nspname IN ('concertina', 'concertina_archive'))
        UNION ALL
        SELECT 'invalid index ' || i.indexrelid::regclass::text FROM pg_index AS i WHERE NOT i.indisvalid";
    Ok(query(client, OURS).await?.concat().into_iter().flatten().collect())
}

/// Rows as text.
///
/// # Errors
/// When the query fails.
pub async fn query(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let answer = client.simple_query(sql).await.with_context(|| sql.to_owned())?;
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// A line-by-line difference without context: lines only in `old` with `-`, only in `new` with `+`.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_start..], &new[same_start..]);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - same_end], &new[..new.len() - same_end]);
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in new {
        *counts.entry(line).or_default() += 1;
    }
    for line in old {
        *counts.entry(line).or_default() -= 1;
    }
    let pick = |lines: &[&str], sign: &str, wanted: fn(i64) -> bool| {
        lines
            .iter()
            .filter(|line| counts.get(*line).is_some_and(|count| wanted(*count)))
            .map(|line| format!("{sign} {line}\n"))
            .collect::<String>()
    };
    let lines = pick(old, "-", |count| count < 0) + &pick(new, "+", |count| count > 0);
    if lines.is_empty() { format!("only the order of lines, from line {}", same_start + 1) } else { lines }
}

#[cfg(test)]
mod tests {
    use super::{difference, without_column_order};

    #[test]
    fn column_order_is_all_that_is_forgotten() {
        let dump = |columns: &str| format!("SET x;\nCREATE TABLE public.t (\n{columns}\n);\n");
        let one = without_column_order(&dump("    a integer NOT NULL,\n    b text"));
        assert_eq!(one, without_column_order(&dump("    b text,\n    a integer NOT NULL")));
        assert_ne!(one, without_column_order(&dump("    b text,\n    a integer")));
    }

    #[test]
    fn differences_name_both_sides() {
        assert_eq!(difference("a\nb\nc", "a\nx\nc"), "- b\n+ x\n");
        assert_eq!(difference("a\nb", "b\na"), "only the order of lines, from line 1");
    }
}
