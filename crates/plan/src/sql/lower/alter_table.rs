//! ALTER TABLE: several subcommands become several changes.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableStmt, AlterTableType, ObjectType};

use crate::catalog::{Catalog, Relation, RelationKind};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::effect::{Effect, fold};
use crate::kind::drop_column::DropColumn;
use crate::kind::drop_default::DropDefault;
use crate::kind::drop_not_null::DropNotNull;
use crate::kind::set_default::SetDefault;
use crate::kind::set_not_null::SetNotNull;
use crate::sql::analyse;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{
    Lower, Lowered, Outcome, Refused, Run, alter_rest, alter_some, column, constraint, refused,
};
use crate::sql::tokens::Kind;

/// Lowers it. If one subcommand is refused the statement is; under `allow` it runs as written, as a whole.
pub(crate) fn lower(lower: &Lower, alter: &AlterTableStmt) -> Outcome {
    if let Some(changes) = alter_some::index(lower, alter) {
        return Outcome { changes: Ok(changes), allowed: Vec::new(), effects: Vec::new() };
    }
    let table = match table(lower, alter) {
        Ok(Some(table)) => table.name.clone(),
        Ok(None) => return Outcome { changes: Ok(Vec::new()), allowed: Vec::new(), effects: Vec::new() },
        Err(refused) => return lower.lift(refused),
    };
    let mut commands: Vec<(&AlterTableCmd, Range<usize>)> =
        ast::each(&alter.cmds).filter_map(command).zip(ranges(lower, alter)).collect();
    // PostgreSQL works in passes: drops, then new columns, then the rest. Source: ATPrepCmd in tablecmds.c.
    commands.sort_by_key(|(command, _)| pass(command.subtype()));

    let mut catalog = lower.catalog.clone();
    let mut changes = Vec::new();
    let mut effects = Vec::new();
    let mut refusals = Vec::new();
    for (command, at) in commands {
        let lowered = subcommand(&lower.with(&catalog), &table, alter, command, &at);
        let more = match lowered {
            Ok(more) => {
                let more_effects = lower.with(&catalog).effects(&more);
                changes.extend(more);
                more_effects
            }
            Err(refused) => {
                let effects = refused.run.as_ref().map(|run| run.effects.clone()).unwrap_or_default();
                refusals.push((refused, at));
                effects
            }
        };
        catalog = fold(&catalog, &more);
        effects.extend(more);
    }
    outcome(lower, changes, effects, refusals)
}

fn outcome(
    lower: &Lower,
    changes: Vec<Change>,
    effects: Vec<Effect>,
    refusals: Vec<(Refused, Range<usize>)>,
) -> Outcome {
    // What cannot be allowed is told first; otherwise the first in the text.
    let fatal = refusals.iter().position(|(refused, _)| refused.run.is_none());
    let alone = changes.is_empty() && refusals.len() == 1;
    let mut refusals = refusals.into_iter().map(|(refused, at)| Refused {
        span: refused.span.or_else(|| (!alone).then(|| lower.tokens.bytes(at.start, at.end))),
        ..refused
    });
    if let Some(fatal) = fatal {
        let refused = refusals.nth(fatal);
        return Outcome {
            changes: refused.map_or_else(|| Ok(Vec::new()), Err),
            allowed: Vec::new(),
            effects,
        };
    }
    let Some(mut first) = refusals.next() else {
        return Outcome { changes: Ok(changes), allowed: Vec::new(), effects };
    };
    // As written the statement is one: its locks and effects are those of all subcommands. All must be allowed.
    let mut codes = vec![first.refusal.code];
    for other in refusals {
        codes.push(other.refusal.code);
        if let (Some(run), Some(more)) = (&mut first.run, &other.run) {
            run.locks.extend(more.locks.iter().cloned());
            run.work.extend(more.work.iter().cloned());
        }
        if lower.directives.allows(first.refusal.code) && !lower.directives.allows(other.refusal.code) {
            let run = first.run.take();
            first = Refused { run, ..other };
        }
    }
    if let Some(run) = &mut first.run {
        run.effects = effects;
    }
    let mut outcome = lower.lift(first);
    if !outcome.allowed.is_empty() {
        codes.sort_unstable();
        codes.dedup();
        outcome.allowed = codes;
    }
    outcome
}

/// The table, or `None` where IF EXISTS makes the statement do nothing.
fn table<'a>(lower: &Lower<'a>, alter: &AlterTableStmt) -> Result<Option<&'a Relation>, Refused> {
    let kind = refused::alter_kind(alter);
    let Some(var) = &alter.relation else { return Ok(None) };
    match alter.objtype() {
        ObjectType::ObjectIndex | ObjectType::ObjectSequence | ObjectType::ObjectType => {
            return Err(refused::alter_other(lower, alter));
        }
        _ => {}
    }
    let relation = match lower.relation(kind, var) {
        Ok(relation) => relation,
        Err(_) if alter.missing_ok => return Ok(None),
        // ALTER TABLE also takes indexes and sequences.
        Err(missing) => return Err(refused::alter_index_or_sequence(lower, alter).unwrap_or(missing)),
    };
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable => {}
        _ => return Err(refused::alter_other(lower, alter)),
    }
    if !var.inh && !relation.partitions.is_empty() {
        return Err(lower.refuse(
            kind,
            Code::NotYet,
            format!("ALTER TABLE ONLY on {}, which has partitions, is not planned yet", relation.name),
            "leave ONLY out, so that the partitions follow",
            Run::on(lower.catalog, relation).unknown(kind),
        ));
    }
    Ok(Some(relation))
}

fn command(node: &NodeEnum) -> Option<&AlterTableCmd> {
    match node {
        NodeEnum::AlterTableCmd(command) => Some(command),
        _ => None,
    }
}

/// Tokens of each subcommand.
pub(crate) fn ranges(lower: &Lower, alter: &AlterTableStmt) -> Vec<Range<usize>> {
    let tokens = lower.tokens;
    let end = lower.statement.tokens.end;
    let mut at = alter.relation.as_ref().map_or(end, |var| {
        let name = tokens.at(ast::byte(var.location));
        let after = tokens.after_name(name);
        // ALTER TABLE name *, ALTER TABLE ONLY (name)
        if matches!(tokens.kind(after), Kind::Ascii42 | Kind::Ascii41) { after + 1 } else { after }
    });
    let mut ranges = Vec::new();
    while at < end {
        let next = tokens.element_end(at, end);
        ranges.push(at..next);
        at = next + 1;
    }
    ranges
}

fn pass(subtype: AlterTableType) -> u8 {
    use AlterTableType::{AtAddColumn, AtDropColumn, AtDropConstraint, AtDropNotNull};
    match subtype {
        AtDropColumn | AtDropConstraint | AtDropNotNull => 0,
        AtAddColumn => 1,
        _ => 2,
    }
}

fn subcommand(
    lower: &Lower,
    table: &Name,
    alter: &AlterTableStmt,
    command: &AlterTableCmd,
    at: &Range<usize>,
) -> Lowered {
    let Some(relation) = lower.catalog.relation(table) else { return Ok(Vec::new()) };
    let column = Ident::from(command.name.as_str());
    let known = |kind| -> Result<(), Refused> {
        match relation.column(&column) {
            Some(_) => Ok(()),
            None => Err(lower.missing_column(kind, relation, &column)),
        }
    };
    let table = table.clone();
    match (command.subtype(), ast::node(command.def.as_deref())) {
        (AlterTableType::AtAddColumn, Some(NodeEnum::ColumnDef(def))) => {
            column::add(lower, relation, def, at, command.missing_ok)
        }
        (AlterTableType::AtDropColumn, _) => {
            if command.missing_ok && relation.column(&column).is_none() {
                return Ok(Vec::new());
            }
            known("drop_column")?;
            let cascade = is_cascade(command.behavior);
            let change = DropColumn { table, column, if_exists: command.missing_ok, cascade };
            Ok(vec![Change::DropColumn(change)])
        }
        (AlterTableType::AtColumnDefault, Some(node)) => {
            known("set_default")?;
            let word = lower.tokens.find(at.start, at.end, |kind| kind == Kind::Default).unwrap_or(at.start);
            let default = analyse::expr(lower.tokens, word + 1..at.end, node, &lower.scope_of(relation));
            Ok(vec![Change::SetDefault(SetDefault { table, column, default })])
        }
        (AlterTableType::AtColumnDefault, None) => {
            known("drop_default")?;
            Ok(vec![Change::DropDefault(DropDefault { table, column })])
        }
        (AlterTableType::AtSetNotNull, _) => {
            known("set_not_null")?;
            Ok(vec![Change::SetNotNull(SetNotNull { table, column })])
        }
        (AlterTableType::AtDropNotNull, _) => {
            known("drop_not_null")?;
            Ok(vec![Change::DropNotNull(DropNotNull { table, column })])
        }
        (AlterTableType::AtAlterColumnType, Some(NodeEnum::ColumnDef(def))) => {
            known("change_type")?;
            Ok(vec![Change::ChangeType(column::change_type(lower, relation, column, def, at))])
        }
        (AlterTableType::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
            constraint::add(lower, relation, constraint, at, None)
        }
        _ => {
            let only = alter.relation.as_ref().is_some_and(|var| !var.inh);
            alter_rest::lower(lower, relation, only, command, at)
        }
    }
}

/// CASCADE.
pub(crate) fn is_cascade(behavior: i32) -> bool {
    behavior == pg_query::protobuf::DropBehavior::DropCascade as i32
}

/// A copy of the relation with a change.
pub(crate) fn changed(catalog: &Catalog, name: &Name, change: impl FnOnce(&mut Relation)) -> Vec<Effect> {
    let Some(relation) = catalog.relation(name) else { return Vec::new() };
    let mut relation = relation.clone();
    change(&mut relation);
    vec![Effect::Relation(Box::new(relation))]
}
