//! Random schemas and migrations as SQL. A scenario is plain numbers, so that proptest can shrink it; only when it is written
//! out do they become names and statements that fit the tables as they are by then.

use proptest::collection::vec;
use proptest::prelude::*;

/// A schema with rows, and a migration for it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    tables: Vec<Table>,
    statements: Vec<Op>,
    /// Chooses the boundary for undo.
    pub(crate) pick: usize,
}

#[derive(Clone, Debug)]
struct Table {
    odd_names: bool,
    primary_key: bool,
    rows: u16,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    kind: u8,
    not_null: bool,
    default: bool,
    nulls: bool,
    index: bool,
}

/// One statement, by what it does and which of the candidates it does it to.
#[derive(Clone, Debug)]
struct Op {
    what: u8,
    table: usize,
    column: usize,
    other: usize,
    flag: bool,
}

/// The strategy.
pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let column = (0..6u8, any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(kind, not_null, default, nulls, index)| Column { kind, not_null, default, nulls, index });
    let table = (any::<bool>(), prop::bool::weighted(0.9), 0..400u16, vec(column, 1..5))
        .prop_map(|(odd_names, primary_key, rows, columns)| Table { odd_names, primary_key, rows, columns });
    let op = (0..KINDS, any::<usize>(), any::<usize>(), any::<usize>(), any::<bool>())
        .prop_map(|(what, table, column, other, flag)| Op { what, table, column, other, flag });
    (vec(table, 1..3), vec(op, 1..5), any::<usize>()).prop_map(|(tables, statements, pick)| Scenario {
        tables,
        statements,
        pick,
    })
}

const KINDS: u8 = 20;

/// A table as it is at some point of the migration.
#[derive(Clone, Debug)]
struct Live {
    name: String,
    columns: Vec<LiveColumn>,
    key: bool,
    indexes: Vec<String>,
}

#[derive(Clone, Debug)]
struct LiveColumn {
    name: String,
    kind: u8,
    volatile: bool,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn type_of(kind: u8) -> &'static str {
    ["integer", "text", "numeric(12,2)", "boolean", "timestamp with time zone", "varchar(60)"][kind as usize]
}

/// A constant of this type.
fn constant(kind: u8) -> &'static str {
    ["7", "'it''s; so'", "1.50", "true", "'2026-02-03 04:05:06+00'", "'short'"][kind as usize]
}

/// A value for row `i`.
fn value(kind: u8) -> &'static str {
    [
        "i % 50",
        "'row ' || i",
        "i / 3.0",
        "i % 2 = 0",
        "'2026-01-01 00:00:00+00'::timestamptz + i * interval '1 hour'",
        "'v' || i % 40",
    ][kind as usize]
}

impl Scenario {
    fn live(&self) -> Vec<Live> {
        let table = |(at, table): (usize, &Table)| {
            let name = |plain: String, odd: String| if table.odd_names { odd } else { plain };
            let columns = table.columns.iter().enumerate().map(|(place, column)| LiveColumn {
                name: name(format!("c{place}"), format!("Col \"{place}\"; é")),
                kind: column.kind,
                volatile: false,
            });
            Live {
                name: name(format!("t{at}"), format!("Table {at} 'x'")),
                columns: columns.collect(),
                key: table.primary_key,
                indexes: (0..table.columns.len())
                    .filter(|place| table.columns[*place].index)
                    .map(|place| format!("index {at} {place}"))
                    .collect(),
            }
        };
        self.tables.iter().enumerate().map(table).collect()
    }

    /// The schema, with rows.
    pub(crate) fn schema(&self) -> String {
        let mut sql = String::new();
        for (at, (table, live)) in self.tables.iter().zip(self.live()).enumerate() {
            let columns = table.columns.iter().zip(&live.columns).map(|(column, live)| {
                format!(
                    ",\n    {} {}{}{}",
                    quoted(&live.name),
                    type_of(column.kind),
                    if column.not_null { " NOT NULL" } else { "" },
                    if column.default {
                        format!(" DEFAULT {}", constant(column.kind))
                    } else {
                        String::new()
                    }
                )
            });
            let columns: String = columns.collect();
            let key = if table.primary_key { " PRIMARY KEY" } else { "" };
            let name = quoted(&live.name);
            sql.push_str(&format!("CREATE TABLE {name} (\n    id bigint{key}{columns}\n);\n"));
            let values = table.columns.iter().map(|column| {
                let value = value(column.kind);
                if column.nulls && !column.not_null {
                    format!(", CASE WHEN i % 5 <> 0 THEN {value} END")
                } else {
                    format!(", {value}")
                }
            });
            let values: String = values.collect();
            sql.push_str(&format!(
                "INSERT INTO {name} SELECT i{values} FROM generate_series(1, {}) AS i;\n",
                table.rows
            ));
            for (place, column) in
                live.columns.iter().enumerate().filter(|(place, _)| table.columns[*place].index)
            {
                let index = quoted(&format!("index {at} {place}"));
                sql.push_str(&format!("CREATE INDEX {index} ON {name} ({});\n", quoted(&column.name)));
            }
        }
        sql
    }

    /// The migration.
    pub(crate) fn migration(&self) -> String {
        self.write().0
    }

    /// Columns whose values differ from run to run.
    pub(crate) fn volatile(&self) -> Vec<String> {
        self.write().1
    }

    fn write(&self) -> (String, Vec<String>) {
        let mut live = self.live();
        let mut sql = String::new();
        let mut volatile = Vec::new();
        for (at, op) in self.statements.iter().enumerate() {
            sql.push_str(&op.sql(at, &mut live));
            for table in &live {
                let moving = table.columns.iter().filter(|column| column.volatile);
                volatile.extend(moving.map(|column| format!("public.{}.{}", table.name, column.name)));
            }
        }
        volatile.sort();
        volatile.dedup();
        (sql, volatile)
    }
}

impl Op {
    fn sql(&self, at: usize, live: &mut [Live]) -> String {
        let tables = live.len();
        let place = self.table % tables;
        let other = &live[(self.table / 7) % tables];
        let (other_name, other_key) = (quoted(&other.name), other.key);
        let table = &mut live[place];
        let name = quoted(&table.name);
        let alter = format!("ALTER TABLE {name}");
        let chosen = self.column % table.columns.len();
        let column = table.columns[chosen].clone();
        let quoted_column = quoted(&column.name);
        let kind = u8::try_from(self.other % 6).unwrap_or_default();
        let fresh = if self.flag { format!("New {at}") } else { format!("n{at}") };
        let add = |table: &mut Live, volatile: bool, kind: u8| {
            table.columns.push(LiveColumn { name: fresh.clone(), kind, volatile });
        };
        let fresh_quoted = quoted(&fresh);
        let text = match self.what {
            0 => {
                add(table, false, kind);
                format!("{alter} ADD COLUMN {fresh_quoted} {}", type_of(kind))
            }
            1 => {
                add(table, false, kind);
                let not_null = if self.flag { " NOT NULL" } else { "" };
                format!(
                    "{alter} ADD COLUMN {fresh_quoted} {}{not_null} DEFAULT {}",
                    type_of(kind),
                    constant(kind)
                )
            }
            2 => {
                add(table, true, 1);
                let not_null = if self.flag { " NOT NULL" } else { "" };
                format!("{alter} ADD COLUMN {fresh_quoted} text{not_null} DEFAULT gen_random_uuid()::text")
            }
            3 => {
                add(table, true, 0);
                let how = if self.flag { "serial" } else { "int GENERATED BY DEFAULT AS IDENTITY" };
                format!("{alter} ADD COLUMN {fresh_quoted} {how}")
            }
            4 => {
                // Constraints over a value that differs from run to run would make the end a matter of luck.
                add(table, false, 1);
                let set = if column.volatile {
                    "'x'".to_owned()
                } else {
                    format!("coalesce({quoted_column}::text, 'none') || '!'")
                };
                let tail = if self.flag {
                    format!(";\n{alter} ALTER COLUMN {fresh_quoted} SET NOT NULL")
                } else {
                    String::new()
                };
                format!(
                    "{alter} ADD COLUMN {fresh_quoted} text;\nUPDATE {name} SET {fresh_quoted} = {set}{tail}"
                )
            }
            5 => format!("CREATE INDEX ON {name} ({quoted_column})"),
            6 => format!(
                "CREATE INDEX {fresh_quoted} ON {name} ({quoted_column} DESC, id) WHERE {quoted_column} IS NOT NULL"
            ),
            7 => format!("CREATE UNIQUE INDEX {fresh_quoted} ON {name} (id, {quoted_column})"),
            8 => {
                let index = table.indexes.pop().unwrap_or_else(|| "no such index".to_owned());
                format!("DROP INDEX IF EXISTS {}", quoted(&index))
            }
            9 => {
                format!("{alter} ADD CONSTRAINT {fresh_quoted} CHECK ({quoted_column} IS NOT NULL OR id > 0)")
            }
            10 => format!("{alter} ADD CHECK (id < {})", if self.flag { 1000 } else { 200 }),
            11 => format!("{alter} ADD UNIQUE (id, {quoted_column})"),
            12 => format!("{alter} ADD CONSTRAINT {fresh_quoted} UNIQUE ({quoted_column})"),
            13 if other_key => {
                format!("{alter} ADD FOREIGN KEY (id) REFERENCES {other_name} (id) ON DELETE CASCADE")
            }
            13 => format!("{alter} ADD FOREIGN KEY (id) REFERENCES {other_name} (id)"),
            14 => format!("{alter} ALTER COLUMN {quoted_column} SET NOT NULL"),
            15 => format!("{alter} ALTER COLUMN {quoted_column} DROP NOT NULL"),
            16 => format!("{alter} ALTER COLUMN {quoted_column} SET DEFAULT {}", constant(column.kind)),
            17 => format!("{alter} ALTER COLUMN {quoted_column} DROP DEFAULT"),
            18 => match column.kind {
                0 if self.flag => format!("UPDATE {name} SET {quoted_column} = {quoted_column} + 1"),
                0 => format!(
                    "UPDATE {name} SET {quoted_column} = {quoted_column} * 2 WHERE {quoted_column} > 20"
                ),
                _ => format!(
                    "UPDATE {name} SET {quoted_column} = {} WHERE {quoted_column} IS NULL",
                    constant(column.kind)
                ),
            },
            _ if table.columns.len() > 1 => {
                table.columns.remove(chosen);
                format!("{alter} DROP COLUMN {quoted_column}")
            }
            _ => format!("COMMENT ON COLUMN {name}.{quoted_column} IS 'it''s; the last'"),
        };
        format!("{text};\n")
    }
}
