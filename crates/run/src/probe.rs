//! Looks on the server whether a step is done.

use concertina_plan::plan::Probe;
use concertina_plan::sql::ident::Name;
use tokio_postgres::GenericClient;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Doing, Error};

/// Whether the probe holds now. [`Probe::Ledger`] and [`Probe::Rebuilt`] never do: there the ledger's row alone tells, and whoever asks has looked.
///
/// # Errors
/// [`Error::Sql`], [`Error::Connection`].
pub async fn holds(client: &(impl GenericClient + Sync), probe: &Probe) -> Result<bool, Error> {
    let mut open = vec![probe];
    while let Some(probe) = open.pop() {
        if let Probe::All { of } = probe {
            open.extend(of);
        } else if !one(client, probe).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn one(client: &(impl GenericClient + Sync), probe: &Probe) -> Result<bool, Error> {
    let (sql, schema, relation, part, expected) = match probe {
        Probe::Ledger | Probe::Rebuilt { .. } => return Ok(false),
        Probe::All { of } => return Ok(of.is_empty()),
        Probe::Relation { name, exists } => (RELATION, &name.schema, &name.name, None, *exists),
        Probe::Column { table, column, exists } => {
            (COLUMN, &table.schema, &table.name, Some(column), *exists)
        }
        Probe::Default { table, column, exists } => {
            (DEFAULT, &table.schema, &table.name, Some(column), *exists)
        }
        Probe::NotNull { table, column, not_null: true } => {
            (VALID_NOT_NULL, &table.schema, &table.name, Some(column), true)
        }
        Probe::NotNull { table, column, not_null: false } => {
            (NOT_NULL, &table.schema, &table.name, Some(column), false)
        }
        Probe::Constraint { table, name, validated: None } => {
            (CONSTRAINT, &table.schema, &table.name, Some(name), false)
        }
        Probe::Constraint { table, name, validated: Some(true) } => {
            (VALID_CONSTRAINT, &table.schema, &table.name, Some(name), true)
        }
        Probe::Constraint { table, name, validated: Some(false) } => {
            (NOT_VALID_CONSTRAINT, &table.schema, &table.name, Some(name), true)
        }
        Probe::Index { name, valid: true } => (VALID_INDEX, &name.schema, &name.name, None, true),
        Probe::Index { name, valid: false } => (INDEX, &name.schema, &name.name, None, false),
        Probe::Trigger { table, name, exists } => (TRIGGER, &table.schema, &table.name, Some(name), *exists),
        Probe::Partition { table, partition, attached } => {
            let sql = if *attached { WHOLE_PARTITION } else { PARTITION };
            return holds_of(client, sql, table, Some(&partition.to_string()), *attached).await;
        }
    };
    let name = Name { schema: schema.clone(), name: relation.clone() };
    holds_of(client, sql, &name, part.map(|ident| ident.as_str()), expected).await
}

async fn holds_of(
    client: &(impl GenericClient + Sync),
    sql: &str,
    relation: &Name,
    part: Option<&str>,
    expected: bool,
) -> Result<bool, Error> {
    let (schema, relation) = (relation.schema.as_str(), relation.name.as_str());
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&schema, Type::TEXT), (&relation, Type::TEXT)];
    if part.is_some() {
        parameters.push((&part, Type::TEXT));
    }
    let sql = format!("SELECT EXISTS ({sql})");
    let row = client.query_typed_one(&sql, &parameters).await.doing("look whether a step is done")?;
    Ok(row.get::<_, bool>(0) == expected)
}

macro_rules! of_relation {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace ",
            $from,
            " WHERE n.nspname = $1 AND c.relname = $2 ",
            $where
        )
    };
}

const RELATION: &str = of_relation!("", "");

const COLUMN: &str = of_relation!(
    "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid",
    "AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped"
);

/// A generated column keeps its expression where others keep their default.
const DEFAULT: &str = of_relation!(
    "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid",
    "AND a.attname = $3 AND NOT a.attisdropped AND a.atthasdef AND a.attgenerated = ''"
);

const NOT_NULL: &str = of_relation!(
    "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid",
    "AND a.attname = $3 AND NOT a.attisdropped AND a.attnotnull"
);

/// On 18 `attnotnull` is set by a NOT VALID constraint too. Source: doc/src/sgml/catalogs.sgml (18), pg_attribute.
const VALID_NOT_NULL: &str = of_relation!(
    "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid",
    "AND a.attname = $3 AND NOT a.attisdropped AND a.attnotnull
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'n'
                     AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated)"
);

const CONSTRAINT: &str =
    of_relation!("JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid", "AND k.conname = $3");

const VALID_CONSTRAINT: &str = of_relation!(
    "JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid",
    "AND k.conname = $3 AND k.convalidated"
);

const NOT_VALID_CONSTRAINT: &str = of_relation!(
    "JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid",
    "AND k.conname = $3 AND NOT k.convalidated"
);

const INDEX: &str = of_relation!("JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid", "");

const VALID_INDEX: &str = of_relation!(
    "JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid",
    "AND i.indisvalid AND i.indisready AND i.indislive"
);

const TRIGGER: &str =
    of_relation!("JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid", "AND t.tgname = $3");

/// One whose DETACH … CONCURRENTLY was begun counts as well.
const PARTITION: &str = of_relation!(
    "JOIN pg_catalog.pg_inherits AS h ON h.inhparent = c.oid",
    "AND h.inhrelid = to_regclass($3)"
);

const WHOLE_PARTITION: &str = of_relation!(
    "JOIN pg_catalog.pg_inherits AS h ON h.inhparent = c.oid",
    "AND h.inhrelid = to_regclass($3) AND NOT h.inhdetachpending"
);
