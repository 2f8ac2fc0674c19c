//! One connection that writes in every way, and knows what it wrote.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Row as Answer};

/// What a writer calls the renamed columns; it takes any of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) a: &'static [&'static str],
    pub(crate) code: &'static [&'static str],
}

impl Names {
    pub(crate) const OLD: Self = Self { a: &["a"], code: &["code"] };
    pub(crate) const NEW: Self = Self { a: &["b"], code: &["sku"] };
    pub(crate) const BOTH: Self = Self { a: &["a", "b"], code: &["code", "sku"] };
}

#[derive(Clone, Debug, Default)]
struct Row {
    a: Option<String>,
    code: Option<String>,
    extra: i64,
}

/// How a writer reaches the server.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) url: String,
    /// Whoever shares server connections with others prepares nothing that outlives a transaction.
    pub(crate) pooled: bool,
    pub(crate) major: u32,
}

/// See the module.
pub(crate) struct Writer {
    client: Client,
    number: u64,
    names: Names,
    way: Way,
    random: StdRng,
    rows: BTreeMap<u64, Row>,
    next: u64,
    /// Writes that the server acknowledged.
    pub(crate) acknowledged: u64,
    /// Upserts into rows that all share.
    pub(crate) upserts: u64,
    /// Rows that all share, updated.
    pub(crate) touched: u64,
}

const ROWS: u64 = 1_000_000;

impl Writer {
    pub(crate) async fn connect(way: Way, number: u64, names: Names) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(&way.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self {
            client,
            number,
            names,
            way,
            random: StdRng::seed_from_u64(number),
            rows: BTreeMap::new(),
            next: 0,
            acknowledged: 0,
            upserts: 0,
            touched: 0,
        })
    }

    /// Its rows: from, to.
    pub(crate) fn range(&self) -> (u64, u64) {
        let from = (self.number + 1) * ROWS;
        (from, from + ROWS)
    }

    pub(crate) fn who(&self) -> String {
        format!("writer {} of {:?}", self.number, self.names.a)
    }

    /// Its rows as they must be.
    pub(crate) fn expected(&self) -> Vec<Vec<Option<String>>> {
        self.rows
            .iter()
            .map(|(id, row)| {
                vec![Some(id.to_string()), row.a.clone(), row.code.clone(), Some(row.extra.to_string())]
            })
            .collect()
    }

    /// Writes once, in some way.
    pub(crate) async fn write(&mut self) -> Result<()> {
        let (a, code) = (self.pick(self.names.a), self.pick(self.names.code));
        let known: Option<u64> = {
            let ids: Vec<u64> = self.rows.keys().copied().collect();
            ids.choose(&mut self.random).copied()
        };
        let value = format!("v{}", self.random.random::<u32>());
        let way = self.random.random_range(0..19);
        match (way, known) {
            (0..=2, _) | (_, None) => self.insert(a, code, &value, way).await?,
            (3, Some(id)) => {
                self.update(id, &format!("{a} = ' {value} '"), |row| row.a = Some(value.clone())).await?
            }
            (4, Some(id)) => self.update(id, &format!("{a} = NULL"), |row| row.a = None).await?,
            (5, Some(id)) => {
                self.update(id, &format!("{code} = '{value}-{id}'"), |row| {
                    row.code = Some(format!("{value}-{id}"));
                })
                .await?
            }
            (6, Some(id)) => self.update(id, "extra = extra + 1", |row| row.extra += 1).await?,
            (7, Some(id)) => {
                let set = format!("{a} = '{value}', {code} = '{value}+{id}', extra = extra + 1");
                self.update(id, &set, |row| {
                    *row = Row {
                        a: Some(value.clone()),
                        code: Some(format!("{value}+{id}")),
                        extra: row.extra + 1,
                    };
                })
                .await?;
            }
            // Both names in one statement, agreeing.
            (8, Some(id)) if self.names.a.len() == 2 => {
                self.update(id, &format!("a = '{value}', b = '{value}'"), |row| row.a = Some(value.clone()))
                    .await?;
            }
            (8 | 9, Some(id)) => self.delete(id).await?,
            (10, Some(id)) => {
                let sql = format!(
                    "BEGIN; DELETE FROM items WHERE id = {id}; INSERT INTO items (id, {a}) VALUES ({id}, '{value}'); COMMIT"
                );
                self.run(&sql).await?;
                self.rows.insert(id, Row { a: Some(value), ..Row::default() });
            }
            (11, Some(id)) => {
                let sql = format!(
                    "INSERT INTO items (id, {a}) VALUES ({id}, '{value}') ON CONFLICT (id) DO UPDATE SET {a} = excluded.{a}"
                );
                self.run(&sql).await?;
                self.row(id).a = Some(value);
            }
            (12, Some(id)) => {
                let Some(unique) = self.rows[&id].code.clone() else { return Ok(()) };
                let sql = format!(
                    "INSERT INTO items (id, {code}, {a}) VALUES ({id} + {ROWS} / 2, '{unique}', '{value}')
                     ON CONFLICT ({code}) DO UPDATE SET {a} = excluded.{a}, extra = items.extra + 1"
                );
                self.run(&sql).await?;
                let row = self.row(id);
                (row.a, row.extra) = (Some(value), row.extra + 1);
            }
            (13, Some(id)) if self.way.major >= 15 => {
                let sql = format!(
                    "MERGE INTO items USING (VALUES ({id}::bigint, '{value}'::text)) AS s (id, v) ON items.id = s.id
                     WHEN MATCHED THEN UPDATE SET {a} = s.v WHEN NOT MATCHED THEN INSERT (id, {a}) VALUES (s.id, s.v)"
                );
                self.run(&sql).await?;
                self.row(id).a = Some(value);
            }
            (14, Some(id)) => {
                let sql = format!(
                    "BEGIN; UPDATE items SET {a} = '{value}' WHERE id = {id}; SAVEPOINT s; UPDATE items SET {a} = 'lost', extra = -1 \
                     WHERE id = {id}; ROLLBACK TO s; COMMIT"
                );
                self.run(&sql).await?;
                self.row(id).a = Some(value);
            }
            (15, Some(id)) => self.prepared(id, a, &value).await?,
            (16, _) => self.copy(a, &value).await?,
            (17, _) => self.upsert(a).await?,
            _ => self.touch(a).await?,
        }
        Ok(())
    }

    async fn insert(&mut self, a: &str, code: &str, value: &str, way: u32) -> Result<()> {
        let id = self.fresh();
        let (columns, values, row) = match way {
            0 => (
                format!(", {a}"),
                format!(", '{value}'"),
                Row { a: Some(value.to_owned()), ..Row::default() },
            ),
            1 => (String::new(), String::new(), Row::default()),
            _ => {
                let unique = format!("{value}/{id}");
                let values = format!(", '{value}', '{unique}'");
                (
                    format!(", {a}, {code}"),
                    values,
                    Row { a: Some(value.to_owned()), code: Some(unique), extra: 0 },
                )
            }
        };
        let sql = format!("INSERT INTO items (id{columns}) VALUES ({id}{values}) RETURNING {a}, {code}");
        let answer = self.one(&sql).await?;
        let returned: (Option<String>, Option<String>) = (answer.get(0), answer.get(1));
        ensure!(returned == (row.a.clone(), row.code.clone()), "{sql} returned {returned:?}");
        self.acknowledged += 1;
        self.rows.insert(id, row);
        Ok(())
    }

    async fn update(&mut self, id: u64, set: &str, change: impl FnOnce(&mut Row)) -> Result<()> {
        self.run(&format!("UPDATE items SET {set} WHERE id = {id}")).await?;
        change(self.row(id));
        self.reads(id).await
    }

    async fn delete(&mut self, id: u64) -> Result<()> {
        self.run(&format!("DELETE FROM items WHERE id = {id}")).await?;
        self.rows.remove(&id);
        Ok(())
    }

    /// Under either name that it knows, the row is as it was written.
    async fn reads(&mut self, id: u64) -> Result<()> {
        let (a, code) = (self.pick(self.names.a), self.pick(self.names.code));
        let sql = format!("SELECT {a}, {code} FROM items WHERE id = {id}");
        let answer = self.one(&sql).await?;
        let found: (Option<String>, Option<String>) = (answer.get(0), answer.get(1));
        let row = &self.rows[&id];
        ensure!(found == (row.a.clone(), row.code.clone()), "{sql} returns {found:?} instead of {row:?}");
        Ok(())
    }

    async fn prepared(&mut self, id: u64, a: &str, value: &str) -> Result<()> {
        let execute = format!("EXECUTE set_{a} ('{value}', {id})");
        let prepare = format!("PREPARE set_{a} (text, bigint) AS UPDATE items SET {a} = $1 WHERE id = $2");
        if self.way.pooled {
            self.run(&format!("BEGIN; {prepare}; {execute}; DEALLOCATE set_{a}; COMMIT")).await?;
        } else {
            match self.client.batch_execute(&prepare).await {
                Err(error) if error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT) => {}
                other => other.with_context(|| self.said(&prepare))?,
            }
            self.run(&execute).await?;
        }
        self.row(id).a = Some(value.to_owned());
        self.reads(id).await
    }

    async fn copy(&mut self, a: &str, value: &str) -> Result<()> {
        let (one, two) = (self.fresh(), self.fresh());
        let program = format!("printf '\\''{one}\\t{value}\\n{two}\\t\\\\N\\n'\\''").replace("'\\''", "\"");
        self.run(&format!("COPY items (id, {a}) FROM PROGRAM '{program}'")).await?;
        self.rows.insert(one, Row { a: Some(value.to_owned()), ..Row::default() });
        self.rows.insert(two, Row::default());
        Ok(())
    }

    /// Everybody at the same keys, which are new now and then.
    async fn upsert(&mut self, a: &str) -> Result<()> {
        for _ in 0..8 {
            let key = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() / 2;
            let sql = format!(
                "INSERT INTO counters ({a}, n) VALUES ('{key}', 1) ON CONFLICT ({a}) DO UPDATE SET n = counters.n + 1"
            );
            self.run(&sql).await?;
            self.upserts += 1;
        }
        Ok(())
    }

    /// Several rows at once, in an order of its own. That deadlocks without any migration, and is tried again.
    async fn touch(&mut self, a: &str) -> Result<()> {
        let mut ids: Vec<u32> = (1..=20).collect();
        ids.shuffle(&mut self.random);
        ids.truncate(3);
        let each = ids.iter().map(|id| format!("UPDATE shared SET {a} = {a} + 1 WHERE id = {id}; "));
        let sql = format!("BEGIN; {}COMMIT", each.collect::<String>());
        loop {
            match self.client.batch_execute(&sql).await {
                Ok(()) => break,
                Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {
                    self.client.batch_execute("ROLLBACK").await?;
                }
                Err(error) => bail!("{}: {error:?}", self.said(&sql)),
            }
        }
        self.acknowledged += 1;
        self.touched += 3;
        Ok(())
    }

    /// A row. By the statement without a name, where another client may have the connection next.
    async fn one(&self, sql: &str) -> Result<Answer> {
        let answer = match self.way.pooled {
            true => self.client.query_typed(sql, &[]).await.map(|mut rows| rows.pop()),
            false => self.client.query_opt(sql, &[]).await,
        };
        answer.with_context(|| self.said(sql))?.with_context(|| format!("{}: no row", self.said(sql)))
    }

    async fn run(&mut self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.with_context(|| self.said(sql))?;
        self.acknowledged += 1;
        Ok(())
    }

    fn row(&mut self, id: u64) -> &mut Row {
        self.rows.entry(id).or_default()
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.range().0 + self.next
    }

    fn pick(&mut self, names: &'static [&'static str]) -> &'static str {
        names.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn said(&self, sql: &str) -> String {
        format!("{}: {sql}", self.who())
    }
}
