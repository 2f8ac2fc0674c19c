//! What is online in one form and not in another: ALTER CONSTRAINT, SET EXPRESSION and ALTER INDEX.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableStmt, AlterTableType, AtAlterConstraint, ObjectType};

use crate::catalog::{Constraint, ConstraintKind, Generated, Relation};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::alter_rest::{missing, subcommand};
use crate::sql::lower::as_written::SETTING;
use crate::sql::lower::{Lower, Lowered, Run};

/// ALTER CONSTRAINT. A foreign key that becomes deferrable accepts whatever it accepted before: itself, in expand. It locks its own
/// table alone. Measured on 14 and 18; source: `ATExecAlterConstraint` in src/backend/commands/tablecmds.c.
pub(super) fn constraint(
    lower: &Lower,
    table: &Relation,
    only: bool,
    command: &AlterTableCmd,
    at: &Range<usize>,
) -> Lowered {
    let kind = "alter_constraint";
    let Some(NodeEnum::AtalterConstraint(alter)) = ast::node(command.def.as_deref()) else {
        return Ok(Vec::new());
    };
    let name = Ident::from(alter.conname.as_str());
    let Some(known) = table.constraint(&name) else {
        return Err(missing(lower, kind, table, &name));
    };
    let plain = alter.alter_deferrability && !alter.alter_enforceability && !alter.alter_inheritability;
    let effect = |constraint: Constraint| Effect::Constraint { table: table.name.clone(), constraint };
    if !plain || !matches!(known.kind, ConstraintKind::ForeignKey { .. }) || !table.partitions.is_empty() {
        return Err(lower.refuse(
            kind,
            Code::NotYet,
            format!(
                "ALTER CONSTRAINT takes ACCESS EXCLUSIVE on {} for a moment, and running code meets other rules from then on",
                table.name
            ),
            "allow it, if running code can take it",
            Run::on(lower.catalog, table).unknown(kind),
        ));
    }
    let after = deferring(known, alter);
    let later = (alter.deferrable, alter.initdeferred);
    let before = (known.deferrable, known.definition.contains(" INITIALLY DEFERRED"));
    if later < before {
        return Err(lower.refuse(
            kind,
            Code::NotYet,
            format!(
                "running code may count on {name} of {} being checked only at COMMIT; from then on it is checked with each statement",
                table.name
            ),
            "allow it when no running code defers it any more",
            Run::on(lower.catalog, table).effect(effect(after)),
        ));
    }
    let effects = vec![effect(after)];
    let mut change = subcommand(lower, table, only, at, kind, LockMode::AccessExclusive, effects);
    if let Change::AsWritten(change) = &mut change {
        let before = match before {
            (false, _) => "NOT DEFERRABLE",
            (true, false) => "DEFERRABLE INITIALLY IMMEDIATE",
            (true, true) => "DEFERRABLE INITIALLY DEFERRED",
        };
        change.undo = Ok(format!("ALTER TABLE {} ALTER CONSTRAINT {name} {before}", table.name));
    }
    Ok(vec![change])
}

/// The constraint as `pg_get_constraintdef` then shows it. Source: `pg_get_constraintdef_worker` in
/// src/backend/utils/adt/ruleutils.c.
fn deferring(known: &Constraint, alter: &AtAlterConstraint) -> Constraint {
    let mut definition = known.definition.clone();
    for clause in [" NOT VALID", " INITIALLY DEFERRED", " DEFERRABLE"] {
        if let Some(rest) = definition.strip_suffix(clause) {
            definition.truncate(rest.len());
        }
    }
    if alter.deferrable {
        definition.push_str(" DEFERRABLE");
    }
    if alter.initdeferred {
        definition.push_str(" INITIALLY DEFERRED");
    }
    if !known.validated {
        definition.push_str(" NOT VALID");
    }
    Constraint { definition, deferrable: alter.deferrable, ..known.clone() }
}

/// SET EXPRESSION writes a STORED column, and so the table, anew: only where the policy calls the table small. A VIRTUAL one is
/// never written. Source: `ATExecSetExpression` in src/backend/commands/tablecmds.c.
pub(super) fn expression(
    lower: &Lower,
    table: &Relation,
    only: bool,
    column: &Ident,
    at: &Range<usize>,
) -> Lowered {
    let kind = "set_expression";
    let on = &table.name;
    let version = lower.catalog.server.version;
    if version.major() < 17 {
        let reason = format!("SET EXPRESSION needs PostgreSQL 17, the server is {version}");
        return Err(lower.will_fail(kind, "42601", reason, "add a new column and drop the old one", None));
    }
    let generated = table.column(column).and_then(|column| column.generated);
    if generated.is_none() {
        let reason = format!("column {column} of {on} is not a generated column");
        return Err(lower.will_fail(kind, "55000", reason, "correct the column's name", None));
    }
    let mut run = Run::on(lower.catalog, table);
    if generated == Some(Generated::Stored) {
        let claims = run.locks.iter();
        run.work =
            claims.map(|lock| Work { relation: lock.relation.clone(), what: WorkKind::Rewrite }).collect();
        run = run.with_indexes(lower.catalog);
        if table.bytes > lower.policy.small_table_bytes {
            return Err(lower.refuse(
                kind,
                Code::NoOnlineForm,
                format!("a new generation expression rewrites {on} under ACCESS EXCLUSIVE"),
                "add a new column and fill it; tables up to `policy.small_table_bytes` are rewritten",
                run,
            ));
        }
    }
    let mut change = subcommand(lower, table, only, at, kind, LockMode::AccessExclusive, Vec::new());
    if let Change::AsWritten(AsWritten { locks, work, .. }) = &mut change {
        (*locks, *work) = (run.locks, run.work);
    }
    Ok(vec![change])
}

/// ALTER INDEX … SET, RESET and SET STATISTICS: SHARE UPDATE EXCLUSIVE on the index alone, which nobody feels. Measured on 14 and
/// 18; source: `AlterTableGetLockLevel` in src/backend/commands/tablecmds.c.
pub(super) fn index(lower: &Lower, alter: &AlterTableStmt) -> Option<Vec<Change>> {
    use AlterTableType::{AtResetRelOptions, AtSetRelOptions, AtSetStatistics};
    let harmless = |node: &NodeEnum| match node {
        NodeEnum::AlterTableCmd(command) => {
            matches!(command.subtype(), AtSetRelOptions | AtResetRelOptions | AtSetStatistics)
        }
        _ => false,
    };
    if alter.objtype() != ObjectType::ObjectIndex || !ast::each(&alter.cmds).all(harmless) {
        return None;
    }
    let (schema, name) = ast::table_name(alter.relation.as_ref()?);
    let index = super::index::find(lower, schema.as_ref(), &name)?;
    Some(vec![Change::AsWritten(AsWritten {
        kind: "alter_index",
        sql: lower.sql().to_owned(),
        locks: vec![LockClaim { relation: index, mode: LockMode::ShareUpdateExclusive }],
        work: Vec::new(),
        transaction: true,
        whole: false,
        effects: Vec::new(),
        undo: Err(SETTING.to_owned()),
    })])
}
