//! What the catalog shows of an ATTACH that is certain to fail.
//! Source: `ATExecAttachPartition`, `MergeAttributesIntoExisting`, `MergeConstraintsIntoExisting` in
//! src/backend/commands/tablecmds.c.

use super::{AttachPartition, default_partition};
use crate::catalog::{Catalog, ConstraintKind, Relation, RelationKind};
use crate::kind::Ctx;
use crate::kind::shared::bound;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::sql::ident::Ident;
use crate::sql::partition::{self, Bound};

impl AttachPartition {
    /// The partitioned table, the new partition and its bound.
    pub(super) fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Relation, Bound), WillFail> {
        let parent = will_fail::table(ctx, &self.table)?;
        let child = will_fail::table(ctx, &self.partition)?;
        let (table, partition) = (&self.table, &self.partition);
        if parent.kind != RelationKind::PartitionedTable {
            return Err(WillFail::new(
                "42P17",
                format!("{table} is not partitioned"),
                "name a partitioned table",
            ));
        }
        if let Some(other) = &child.partition_of {
            return Err(WillFail::new(
                "42809",
                format!("{partition} is a partition of {other} already"),
                "detach it there first, in a migration before this one",
            ));
        }
        if child.inherits {
            return Err(WillFail::new(
                "42809",
                format!("{partition} takes part in table inheritance"),
                "make a table without INHERITS",
            ));
        }
        columns(ctx.logical, parent, child)?;
        constraints(parent, child)?;
        let bound = self.bound(ctx.logical, parent)?;
        Ok((parent, child, bound))
    }

    fn bound(&self, catalog: &Catalog, parent: &Relation) -> Result<Bound, WillFail> {
        let fail = |reason: String, way_out: &str| Err(WillFail::new("42P17", reason, way_out));
        let Some(bound) = partition::bound(&self.bound) else {
            return fail(format!("{} is no bound of a partition", self.bound), "correct the bound");
        };
        if let Ok(key) = bound::key(parent)
            && !bound::fits(&key, &bound)
        {
            let by = parent.partition_by.as_deref().unwrap_or_default();
            return fail(
                format!("{} is partitioned by {by}, and {} is no bound of that", self.table, self.bound),
                "write a bound that fits the partition key",
            );
        }
        if bound::empty(parent, &bound) {
            return fail(format!("the range {} is empty", self.bound), "correct the bound");
        }
        if bound == Bound::Default
            && let Some(known) = default_partition(catalog, parent)
        {
            return fail(
                format!("{} has a DEFAULT partition already: {}", self.table, known.name),
                "name the values of the new one",
            );
        }
        for sibling in parent.partitions.iter().filter_map(|name| catalog.relation(name)) {
            let Some(known) = sibling.partition_bound.as_deref().and_then(partition::bound) else { continue };
            if bound::overlap(parent, &bound, &known) {
                return fail(
                    format!("partition {} would overlap partition {}", self.partition, sibling.name),
                    "correct the bound, or detach the other one first",
                );
            }
        }
        Ok(bound)
    }
}

/// The same columns, of the same types, NOT NULL where the parent's are.
pub(super) fn columns(catalog: &Catalog, parent: &Relation, child: &Relation) -> Result<(), WillFail> {
    let (table, partition) = (&parent.name, &child.name);
    let fail = |reason: String, way_out: String| Err(WillFail::new("42804", reason, way_out));
    for column in &parent.columns {
        let name = &column.name;
        let Some(own) = child.column(name) else {
            return fail(
                format!("{partition} has no column {name}, which {table} has"),
                format!("ALTER TABLE {partition} ADD COLUMN {name} {}", column.data_type),
            );
        };
        let spelt = !own.new_here && !column.new_here;
        if spelt && own.data_type != column.data_type {
            return fail(
                format!(
                    "column {name} of {partition} is {}, that of {table} is {}",
                    own.data_type, column.data_type
                ),
                "give both the same type".to_owned(),
            );
        }
        if column.not_null.is_some() && own.not_null.as_ref().is_none_or(|marking| !marking.valid) {
            return fail(
                format!("column {name} of {partition} may be NULL, that of {table} may not"),
                format!(
                    "ALTER TABLE {partition} ALTER COLUMN {name} SET NOT NULL, in a migration before this one"
                ),
            );
        }
        if own.generated != column.generated {
            return fail(
                format!("column {name} is generated in only one of {partition} and {table}"),
                "make both alike".to_owned(),
            );
        }
    }
    if let Some(column) = child.columns.iter().find(|column| parent.column(&column.name).is_none()) {
        return fail(
            format!("{partition} has column {}, which {table} has not", column.name),
            "drop it first, or add it to the partitioned table".to_owned(),
        );
    }
    let identity = child.columns.iter().find(|column| column.identity.is_some());
    if let Some(column) = identity.filter(|_| catalog.server.version.partitions_share_identity()) {
        return fail(
            format!("column {} of {partition} is an identity column; it gets that from {table}", column.name),
            format!("ALTER TABLE {partition} ALTER COLUMN {} DROP IDENTITY first", column.name),
        );
    }
    Ok(())
}

/// CHECKs of the parent by name, one primary key, no two triggers of one name.
fn constraints(parent: &Relation, child: &Relation) -> Result<(), WillFail> {
    let (table, partition) = (&parent.name, &child.name);
    let checks = parent.constraints.iter().filter(|constraint| {
        constraint.kind == ConstraintKind::Check && !constraint.definition.ends_with("NO INHERIT")
    });
    for check in checks {
        let own = child.constraint(&check.name).filter(|own| own.kind == ConstraintKind::Check);
        let said = format!("{partition} lacks constraint {} of {table}", check.name);
        let way_out =
            format!("ALTER TABLE {partition} ADD CONSTRAINT {} {} first", check.name, check.definition);
        match own {
            None => return Err(WillFail::new("42804", said, way_out)),
            Some(own) if check.validated && !own.validated => {
                return Err(WillFail::new(
                    "55000",
                    format!(
                        "constraint {} of {partition} is NOT VALID, that of {table} is valid",
                        check.name
                    ),
                    format!("ALTER TABLE {partition} VALIDATE CONSTRAINT {} first", check.name),
                ));
            }
            Some(_) => {}
        }
    }
    if let (Some(key), Some(own)) = (parent.primary_key(), child.primary_key())
        && key.columns != own.columns
    {
        return Err(WillFail::new(
            "42P16",
            format!("{partition} has primary key {}, which is not that of {table}", own.name),
            "drop it first, or make it UNIQUE",
        ));
    }
    let row = |relation: &Relation, name: &Ident| relation.triggers.iter().any(|t| t.row && t.name == *name);
    if let Some(trigger) = parent.triggers.iter().find(|trigger| trigger.row && row(child, &trigger.name)) {
        return Err(WillFail::new(
            "42710",
            format!(
                "{partition} has a trigger {}, and would get one of that name from {table}",
                trigger.name
            ),
            "drop it first",
        ));
    }
    if let Some(trigger) = child.triggers.iter().find(|trigger| trigger.row && trigger.transition_table) {
        return Err(WillFail::new(
            "42P17",
            format!("trigger {} of {partition} uses a transition table for each row", trigger.name),
            "drop it first",
        ));
    }
    Ok(())
}
