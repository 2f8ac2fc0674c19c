//! Subcommands of ALTER TABLE that are no planned kinds: as written where that is online, refused otherwise.

use std::ops::Range;

use pg_query::protobuf::{AlterTableCmd, AlterTableType};

use crate::catalog::{ConstraintKind, Relation};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::kind::drop_constraint::DropConstraint;
use crate::kind::drop_not_null::DropNotNull;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::{changed, is_cascade};
use crate::sql::lower::{
    Lower, Lowered, Refused, Run, alter_some, identity, kinds, partition, policy, tree, trigger,
};
use crate::sql::similar::did_you_mean;

/// Lowers one.
pub(crate) fn lower(
    lower: &Lower,
    table: &Relation,
    only: bool,
    command: &AlterTableCmd,
    at: &Range<usize>,
) -> Lowered {
    use AlterTableType as At;
    let kind = kinds::subcommand(command.subtype());
    let column = Ident::from(command.name.as_str());
    let on_column = matches!(
        command.subtype(),
        At::AtSetStatistics
            | At::AtSetOptions
            | At::AtResetOptions
            | At::AtSetStorage
            | At::AtSetCompression
            | At::AtSetExpression
            | At::AtDropExpression
            | At::AtAddIdentity
            | At::AtSetIdentity
            | At::AtDropIdentity
    );
    if on_column && !column.as_str().is_empty() && table.column(&column).is_none() {
        if command.missing_ok {
            return Ok(Vec::new());
        }
        return Err(lower.missing_column(kind, table, &column));
    }
    if let Some(changes) = identity::lower(lower, table, command, at) {
        return changes;
    }
    match command.subtype() {
        At::AtValidateConstraint => validate(lower, table, &column),
        At::AtDropConstraint => drop_constraint(lower, table, command, &column),
        At::AtEnableRowSecurity
        | At::AtDisableRowSecurity
        | At::AtForceRowSecurity
        | At::AtNoForceRowSecurity => Ok(vec![policy::row_security(table, command.subtype())]),
        At::AtEnableTrig
        | At::AtEnableAlwaysTrig
        | At::AtEnableReplicaTrig
        | At::AtEnableTrigAll
        | At::AtEnableTrigUser
        | At::AtDisableTrig
        | At::AtDisableTrigAll
        | At::AtDisableTrigUser => Ok(vec![trigger::enable(lower, table, command.subtype(), column)]),
        At::AtAttachPartition | At::AtDetachPartition | At::AtDetachPartitionFinalize => {
            partition::alter(lower, table, command, at)
        }
        // Source: AlterTableGetLockLevel in src/backend/commands/tablecmds.c.
        At::AtSetStatistics
        | At::AtSetOptions
        | At::AtResetOptions
        | At::AtClusterOn
        | At::AtDropCluster
        | At::AtSetRelOptions
        | At::AtResetRelOptions => {
            Ok(vec![subcommand(lower, table, only, at, kind, LockMode::ShareUpdateExclusive, Vec::new())])
        }
        At::AtSetStorage | At::AtSetCompression | At::AtReplicaIdentity | At::AtSetIdentity => {
            Ok(vec![subcommand(lower, table, only, at, kind, LockMode::AccessExclusive, Vec::new())])
        }
        At::AtAlterConstraint => alter_some::constraint(lower, table, only, command, at),
        At::AtSetExpression => alter_some::expression(lower, table, only, &column, at),
        At::AtChangeOwner => {
            let owner = command.newowner.as_ref().map(|role| Ident::from(role.rolename.as_str()));
            let effects = match owner {
                Some(owner) if !owner.as_str().is_empty() => {
                    changed(lower.catalog, &table.name, |table| table.owner = owner)
                }
                _ => Vec::new(),
            };
            let mut change = subcommand(lower, table, only, at, kind, LockMode::AccessExclusive, effects);
            if let Change::AsWritten(change) = &mut change {
                // The owner of a partitioned table changes alone, with its indexes and owned sequences.
                // Measured on 15; source: ATExecChangeOwner in tablecmds.c.
                let own = Run {
                    locks: vec![LockClaim { relation: table.name.clone(), mode: LockMode::AccessExclusive }],
                    ..Run::default()
                };
                change.locks = own.with_indexes(lower.catalog).locks;
                let owned = lower.catalog.sequences_of(&table.name);
                change.locks.extend(owned.map(|sequence| LockClaim {
                    relation: sequence.name.clone(),
                    mode: LockMode::AccessExclusive,
                }));
                change.undo = Ok(format!("ALTER TABLE {} OWNER TO {}", table.name, table.owner));
            }
            Ok(vec![change])
        }
        _ => Err(refused(lower, table, command, kind, &column)),
    }
}

/// One subcommand as a statement of its own: the others of its ALTER TABLE are planned apart.
pub(super) fn subcommand(
    lower: &Lower,
    table: &Relation,
    only: bool,
    at: &Range<usize>,
    kind: &'static str,
    mode: LockMode,
    effects: Vec<Effect>,
) -> Change {
    let only = if only { "ONLY " } else { "" };
    let text = lower.tokens.slice(at.start, at.end);
    let undo = if table.new_here {
        Ok(String::new())
    } else {
        Err("what was set before is not recorded".to_owned())
    };
    Change::AsWritten(AsWritten {
        kind,
        sql: format!("ALTER TABLE {only}{} {text}", table.name),
        locks: tree(lower.catalog, table, mode),
        work: Vec::new(),
        transaction: true,
        whole: true,
        effects,
        undo,
    })
}

/// VALIDATE CONSTRAINT is online as it stands. Source: FACTS; "VALIDATE CONSTRAINT" in doc/src/sgml/ref/alter_table.sgml.
fn validate(lower: &Lower, table: &Relation, name: &Ident) -> Lowered {
    let Some(constraint) = table.constraint(name) else {
        let not_null =
            table.columns.iter().find(|c| c.not_null.as_ref().is_some_and(|n| n.name.as_ref() == Some(name)));
        return match not_null {
            Some(column) => {
                let mut marking = column.not_null.clone();
                if let Some(marking) = &mut marking {
                    marking.valid = true;
                }
                let effect = Effect::NotNull {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    not_null: marking,
                };
                Ok(vec![validation(lower, table, name, Vec::new(), effect)])
            }
            None => Err(missing(lower, "validate_constraint", table, name)),
        };
    };
    let mut locks = Vec::new();
    if let ConstraintKind::ForeignKey { table: referenced, .. } = &constraint.kind {
        locks.push(LockClaim { relation: referenced.clone(), mode: LockMode::RowShare });
    }
    let effect = Effect::ConstraintValidated { table: table.name.clone(), constraint: name.clone() };
    Ok(vec![validation(lower, table, name, locks, effect)])
}

fn validation(lower: &Lower, table: &Relation, name: &Ident, more: Vec<LockClaim>, effect: Effect) -> Change {
    let mut locks = tree(lower.catalog, table, LockMode::ShareUpdateExclusive);
    locks.extend(more);
    Change::AsWritten(AsWritten {
        kind: "validate_constraint",
        sql: format!("ALTER TABLE {} VALIDATE CONSTRAINT {name}", table.name),
        locks,
        work: vec![Work { relation: table.name.clone(), what: WorkKind::Scan }],
        transaction: true,
        whole: false,
        effects: vec![effect],
        undo: Ok(String::new()),
    })
}

fn drop_constraint(lower: &Lower, table: &Relation, command: &AlterTableCmd, name: &Ident) -> Lowered {
    let Some(constraint) = table.constraint(name) else {
        let not_null =
            table.columns.iter().find(|c| c.not_null.as_ref().is_some_and(|n| n.name.as_ref() == Some(name)));
        return match (not_null, command.missing_ok) {
            (Some(column), _) => Ok(vec![Change::DropNotNull(DropNotNull {
                table: table.name.clone(),
                column: column.name.clone(),
            })]),
            (None, true) => Ok(Vec::new()),
            (None, false) => Err(missing(lower, "drop_constraint", table, name)),
        };
    };
    let more = referencing(lower, table, constraint);
    if !is_cascade(command.behavior) || more.is_empty() {
        return Ok(vec![Change::DropConstraint(DropConstraint {
            table: table.name.clone(),
            name: name.clone(),
        })]);
    }
    let mut run = Run::on(lower.catalog, table);
    for (child, key) in more {
        run.locks.push(LockClaim { relation: child.clone(), mode: LockMode::AccessExclusive });
        run.effects.push(Effect::ConstraintGone { table: child, constraint: key });
    }
    run.effects.push(Effect::ConstraintGone { table: table.name.clone(), constraint: name.clone() });
    Err(lower.refuse(
        "drop_constraint",
        Code::NotYet,
        format!(
            "CASCADE drops the foreign keys that stand on {name} too, under ACCESS EXCLUSIVE on {} and on their tables",
            table.name
        ),
        "drop those foreign keys first, in statements of their own, and leave CASCADE out",
        run,
    ))
}

/// Foreign keys of other tables that stand on a key of this one.
fn referencing(
    lower: &Lower,
    table: &Relation,
    constraint: &crate::catalog::Constraint,
) -> Vec<(Name, Ident)> {
    lower
        .catalog
        .incoming_foreign_keys(&table.name)
        .into_iter()
        .filter(|(_, key)| {
            matches!(&key.kind, ConstraintKind::ForeignKey { columns, .. } if *columns == constraint.columns)
        })
        .map(|(child, key)| (child.name.clone(), key.name.clone()))
        .collect()
}

pub(super) fn missing(lower: &Lower, kind: &'static str, table: &Relation, name: &Ident) -> Refused {
    let hint = did_you_mean(name.as_str(), table.constraints.iter().map(|c| c.name.as_str().to_owned()))
        .unwrap_or_else(|| "correct the name".to_owned());
    lower.will_fail(kind, "42704", format!("constraint {name} of {} does not exist", table.name), hint, None)
}

fn refused(
    lower: &Lower,
    table: &Relation,
    command: &AlterTableCmd,
    kind: &'static str,
    column: &Ident,
) -> Refused {
    use AlterTableType as At;
    let on = &table.name;
    let words = kinds::words(kind);
    let run = Run::on(lower.catalog, table);
    let rewrite = |run: Run| {
        let work =
            run.locks.iter().map(|lock| Work { relation: lock.relation.clone(), what: WorkKind::Rewrite });
        Run { work: work.collect(), ..run }.with_indexes(lower.catalog)
    };
    let (code, reason, way_out, run) = match command.subtype() {
        At::AtDropExpression => (
            Code::NotYet,
            format!(
                "after DROP EXPRESSION running code has to write {column} itself, and before it no code can; it takes ACCESS \
                 EXCLUSIVE on {on} for a moment"
            ),
            "allow it when a trigger of yours writes the column, or code that leaves it out may store NULL",
            Run {
                effects: in_tree(lower, table, |table| {
                    for known in table.columns.iter_mut().filter(|known| known.name == *column) {
                        known.generated = None;
                    }
                }),
                ..run
            },
        ),
        At::AtSetLogged | At::AtSetUnLogged | At::AtSetTableSpace | At::AtSetAccessMethod => (
            Code::NoOnlineForm,
            format!("{words} copies {on} and its indexes under ACCESS EXCLUSIVE"),
            "make a new table, or use an extension that repacks beside running writes",
            rewrite(run),
        ),
        At::AtEnableRule | At::AtEnableAlwaysRule | At::AtEnableReplicaRule | At::AtDisableRule => (
            Code::NotYet,
            format!(
                "{words} takes ACCESS EXCLUSIVE on {on} for a moment, and running code's statements are rewritten otherwise from then on"
            ),
            "allow it, if running code can take it",
            run,
        ),
        At::AtAddInherit | At::AtDropInherit | At::AtAddOf | At::AtDropOf => (
            Code::NotYet,
            format!(
                "{words} changes what queries of the parent see of {on}, and takes ACCESS EXCLUSIVE on it"
            ),
            "use declarative partitioning, or allow it",
            run.unknown(kind),
        ),
        At::AtAlterConstraint => (
            Code::NotYet,
            format!(
                "ALTER CONSTRAINT takes ACCESS EXCLUSIVE on {on} and the referenced table for a moment, and running code meets other rules from then on"
            ),
            "allow it, if running code can take it",
            run.unknown(kind),
        ),
        _ => (
            Code::NotYet,
            format!("this subcommand is not planned yet; it takes up to ACCESS EXCLUSIVE on {on}"),
            "allow it, if running code can take it",
            run.unknown(kind),
        ),
    };
    lower.refuse(kind, code, reason, way_out, run)
}

/// A change of a table and of all its partitions.
fn in_tree(lower: &Lower, table: &Relation, change: impl Fn(&mut Relation)) -> Vec<Effect> {
    let tree = lower.catalog.tree(&table.name).into_iter();
    tree.flat_map(|relation| changed(lower.catalog, &relation.name, &change)).collect()
}
