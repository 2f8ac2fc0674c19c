//! The part of a catalog that a plan must foretell exactly, as lines of text: two catalogs with the same lines have the same
//! shape. Left out is what only the server knows (oids, sizes, owners) and how expressions are spelt.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use concertina_plan::catalog::{Catalog, Column, Constraint, ConstraintKind, Index, Relation, Trigger};
use concertina_plan::sql::ident::{Ident, Name, list};
use tokio_postgres::Client;

use crate::compare;

/// The lines.
pub type Shape = BTreeSet<String>;

/// Says where two shapes differ.
///
/// # Errors
/// The difference.
pub fn same(got: &Shape, expected: &Shape) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    let missing = expected.difference(got).map(|line| format!("- {line}\n"));
    let surplus = got.difference(expected).map(|line| format!("+ {line}\n"));
    bail!("(- foretold, + found)\n{}", missing.chain(surplus).collect::<String>())
}

/// Makes shapes of the catalogs of one database. It asks the server to spell types alike.
#[derive(Debug)]
pub struct Shaper<'a> {
    client: &'a Client,
    types: BTreeMap<String, String>,
    /// Members of extensions are not modelled, so where one arrives functions and types cannot be compared.
    members: bool,
}

impl<'a> Shaper<'a> {
    /// `members`: also compare functions and types.
    pub fn new(client: &'a Client, members: bool) -> Self {
        Self { client, types: BTreeMap::new(), members }
    }

    /// The shape.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn shape(&mut self, catalog: &Catalog) -> Result<Shape> {
        let mut lines = Shape::new();
        lines.extend(catalog.schemas.iter().map(|schema| format!("schema {schema}")));
        lines.extend(catalog.extensions.iter().map(|extension| format!("extension {extension}")));
        lines.extend(catalog.sequences.values().map(|sequence| {
            let owner = sequence.owned_by.as_ref().map(|(table, column)| format!("{table}.{column}"));
            format!("sequence {} owned by {}", sequence.name, owner.unwrap_or_default())
        }));
        if self.members {
            lines.extend(catalog.functions.iter().map(|function| format!("function {}", function.name)));
            lines.extend(catalog.types.values().map(|kind| format!("type {} {:?}", kind.name, kind.kind)));
        }
        for relation in catalog.relations.values() {
            self.relation(relation, &mut lines).await?;
        }
        Ok(lines)
    }

    async fn relation(&mut self, relation: &Relation, lines: &mut Shape) -> Result<()> {
        let name = &relation.name;
        let parent = relation.partition_of.as_ref().map(|parent| format!(" partition of {parent}"));
        let mut partitions: Vec<&Name> = relation.partitions.iter().collect();
        partitions.sort();
        lines.insert(format!(
            "{name}: {:?}{}{}{}{} partitions {partitions:?} key {}",
            relation.kind,
            parent.unwrap_or_default(),
            if relation.unlogged { " unlogged" } else { "" },
            if relation.row_security { " rls" } else { "" },
            if relation.inherits { " inherits" } else { "" },
            list(&relation.partition_key),
        ));
        for (at, column) in relation.columns.iter().enumerate() {
            let spelt = self.spell(&column.data_type).await?;
            lines.insert(format!("{name}: column {at} {}", self::column(column, &spelt)));
        }
        lines.extend(relation.constraints.iter().map(|c| format!("{name}: constraint {}", constraint(c))));
        lines.extend(relation.indexes.iter().map(|i| format!("{name}: index {}", index(i))));
        lines.extend(relation.triggers.iter().map(|t| format!("{name}: trigger {}", trigger(t))));
        Ok(())
    }

    /// The type as `format_type` spells it; a planned column has it as the user wrote it.
    async fn spell(&mut self, data_type: &str) -> Result<String> {
        if let Some(known) = self.types.get(data_type) {
            return Ok(known.clone());
        }
        let sql = format!(
            "BEGIN; CREATE TEMPORARY TABLE spelling (c {data_type});
             SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pg_temp.spelling'::regclass AND attnum = 1;
             ROLLBACK"
        );
        let spelt = match compare::query(self.client, &sql).await {
            Ok(rows) => rows.concat().into_iter().flatten().next().unwrap_or_default(),
            Err(_) => {
                // A type that does not exist (yet) stays as it is written.
                self.client.batch_execute("ROLLBACK").await?;
                data_type.to_owned()
            }
        };
        self.types.insert(data_type.to_owned(), spelt.clone());
        Ok(spelt)
    }
}

fn column(column: &Column, data_type: &str) -> String {
    let not_null = match &column.not_null {
        None => "",
        Some(marking) if marking.valid => " not null",
        Some(_) => " not null, not valid",
    };
    let default = if column.default.is_some() { " default" } else { "" };
    let identity = column.identity.map(|identity| format!(" identity {identity:?}")).unwrap_or_default();
    let generated = column.generated.map(|generated| format!(" generated {generated:?}")).unwrap_or_default();
    format!("{} {data_type}{not_null}{default}{identity}{generated}", column.name)
}

fn constraint(constraint: &Constraint) -> String {
    let kind = match &constraint.kind {
        ConstraintKind::ForeignKey { table, columns } => format!("references {table} ({})", list(columns)),
        other => format!("{other:?}"),
    };
    // The order of a CHECK's columns means nothing: the server takes it from its own walk of the expression.
    let mut columns: Vec<&Ident> = constraint.columns.iter().collect();
    if constraint.kind == ConstraintKind::Check {
        columns.sort();
    }
    format!(
        "{} ({}) {kind}{}{}{}",
        constraint.name,
        list(columns),
        if constraint.validated { "" } else { " not valid" },
        if constraint.deferrable { " deferrable" } else { "" },
        if constraint.inherited { " inherited" } else { "" },
    )
}

fn index(index: &Index) -> String {
    let keys: Vec<String> = index
        .columns
        .iter()
        .map(|key| key.as_ref().map_or("(expression)".to_owned(), ToString::to_string))
        .collect();
    let flags = [
        (index.unique, "unique"),
        (index.primary, "primary"),
        (index.exclusion, "exclusion"),
        (index.partial, "partial"),
        (!index.immediate, "deferrable"),
        (!index.valid, "invalid"),
        (index.inherited, "attached"),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, word)| format!(" {word}")).collect();
    let constraint =
        index.constraint.as_ref().map(|name| format!(" of constraint {name}")).unwrap_or_default();
    format!(
        "{} ({}) include ({}) uses ({}){flags}{constraint}",
        index.name,
        keys.join(", "),
        list(&index.include),
        list(&index.uses),
    )
}

fn trigger(trigger: &Trigger) -> String {
    let mut on: Vec<String> = trigger.on.iter().map(|event| format!("{event:?}")).collect();
    on.sort();
    format!(
        "{} {} {} on {} of ({}){} {}",
        trigger.name,
        if trigger.before { "before" } else { "after" },
        if trigger.row { "row" } else { "statement" },
        on.join(" "),
        list(&trigger.update_of),
        if trigger.transition_table { " transition table" } else { "" },
        trigger.fires.when(),
    )
}
