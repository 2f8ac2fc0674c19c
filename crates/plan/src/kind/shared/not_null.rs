//! NOT NULL on a column that may have rows: shown by a constraint that is validated beside running writes, so that
//! nothing is scanned under the strong lock.
//!
//! ```text
//! to 17:   CHECK (c IS NOT NULL) NOT VALID ─▶ VALIDATE ─▶ SET NOT NULL (implied: no scan) + DROP CONSTRAINT
//! from 18: NOT NULL c NOT VALID ─▶ VALIDATE
//! ```
//!
//! Source: "SET/DROP NOT NULL" in doc/src/sgml/ref/alter_table.sgml: the scan is skipped when a valid CHECK constraint proves
//! that no NULL can exist.

use crate::catalog::{Catalog, Constraint, ConstraintKind, NotNull, Relation};
use crate::ddl;
use crate::effect::Effect;
use crate::kind::shared::{tighten, tree};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Need, Phase, Probe, Step, Undo, WorkKind};
use crate::sql::ident::{Ident, Name};
use crate::sql::names::Namer;

/// The steps that make `column` NOT NULL without a scan under the strong lock, all in `phase`. `catalog` is the one that
/// the steps will meet.
pub(crate) fn steps(catalog: &Catalog, table: &Name, column: &Ident, phase: Phase) -> Vec<Step> {
    let shown = catalog.relation(table).is_some_and(|relation| implied(relation, column));
    if shown {
        vec![set(catalog, table, column, phase, None)]
    } else if catalog.server.version.not_null_not_valid() {
        by_constraint(catalog, table, column, phase)
    } else {
        by_check(catalog, table, column, phase)
    }
}

/// SET NOT NULL as one step: on an empty table, or where a CHECK shows it already.
pub(crate) fn at_once(catalog: &Catalog, table: &Name, column: &Ident, phase: Phase) -> Step {
    set(catalog, table, column, phase, None)
}

/// What gives a column its NOT NULL back that was dropped: the rows are proven first, since any may hold a NULL by now.
pub(crate) fn restore(catalog: &Catalog, table: &Relation, column: &Ident) -> Vec<Step> {
    let mut steps = vec![proof(table, column)];
    steps.extend(self::steps(catalog, &table.name, column, Phase::Expand));
    for step in &mut steps {
        step.phase = Phase::Expand;
        step.undo = Undo::Nothing;
    }
    steps
}

/// No row has a NULL in the column.
pub(crate) fn proof(table: &Relation, column: &Ident) -> Step {
    let condition = format!("{}.{column} IS NULL", table.name.name);
    tighten::proof(
        &table.name,
        &format!("NOT NULL on column {column} of {}", table.name),
        tighten::violators(table, &condition),
        format!("rows of {} where {column} is null", table.name),
    )
}

/// A validated CHECK says exactly `column IS NOT NULL`.
pub(crate) fn implied(table: &Relation, column: &Ident) -> bool {
    let wanted = format!("{column}ISNOTNULL");
    table.constraints.iter().any(|constraint| {
        let said: String = constraint
            .definition
            .strip_prefix("CHECK")
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')'))
            .collect();
        constraint.kind == ConstraintKind::Check
            && constraint.validated
            && constraint.columns == [column.clone()]
            && said == wanted
    })
}

/// The text of a default is a literal, or a call that always yields a value.
pub(crate) fn is_plain_value(default: &str) -> bool {
    const CALLS: &[&str] =
        &["nextval(", "now()", "gen_random_uuid()", "clock_timestamp()", "random()", "uuidv7()"];
    let lower = default.trim().to_ascii_lowercase();
    let word = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    !lower.contains("null")
        && (lower.starts_with('\'')
            || lower.trim_start_matches(['-', '(', '+']).starts_with(|c: char| c.is_ascii_digit())
            || matches!(word, "true" | "false" | "current_timestamp" | "current_date" | "localtimestamp")
            || CALLS.iter().any(|call| lower.starts_with(call)))
}

/// The marking that SET NOT NULL leaves. From 18 on it is a constraint, and has a name; one that is there but not yet
/// valid keeps its own.
pub(crate) fn marking(catalog: &Catalog, table: &Name, column: &Ident) -> NotNull {
    let named = catalog.server.version.not_null_not_valid();
    let known =
        catalog.relation(table).and_then(|table| table.column(column)?.not_null.as_ref()?.name.clone());
    NotNull {
        name: named.then(|| {
            known.unwrap_or_else(|| {
                Namer::new(catalog, &table.schema).constraint(&table.name, Some(column.as_str()), "not_null")
            })
        }),
        valid: true,
    }
}

/// The effect of SET NOT NULL.
pub(crate) fn effect(catalog: &Catalog, table: &Name, column: &Ident) -> Effect {
    marked(table, column, Some(marking(catalog, table, column)))
}

fn marked(table: &Name, column: &Ident, not_null: Option<NotNull>) -> Effect {
    Effect::NotNull { table: table.clone(), column: column.clone(), not_null }
}

/// To 17: a temporary CHECK carries the proof.
fn by_check(catalog: &Catalog, table: &Name, column: &Ident, phase: Phase) -> Vec<Step> {
    let name = check_name(table, column);
    let check = Constraint {
        name: name.clone(),
        kind: ConstraintKind::Check,
        columns: vec![column.clone()],
        definition: format!("CHECK (({column} IS NOT NULL))"),
        validated: false,
        deferrable: false,
        inherited: false,
    };
    let drop = vec![ddl::constraint::drop_if_exists(table, &name)];
    let undo = drop_constraint(catalog, table, &name, drop)
        .provides(Effect::ConstraintGone { table: table.clone(), constraint: name.clone() });
    let begin = Step::transaction(
        phase,
        format!("Reject new NULLs in column {column} of {table}"),
        "a CHECK that is not yet validated needs no scan",
        vec![ddl::constraint::add_not_valid(table, &name, &format!("CHECK ({column} IS NOT NULL)"))],
    )
    .locks(tree::locks(catalog, table, LockMode::AccessExclusive))
    .probe(Probe::Constraint { table: table.clone(), name: name.clone(), validated: Some(false) })
    .undone_by(vec![undo])
    .requires(Need::Column(table.clone(), column.clone()))
    .provides(Effect::Constraint { table: table.clone(), constraint: check });
    let validate = validate(catalog, table, column, &name, phase)
        .provides(Effect::ConstraintValidated { table: table.clone(), constraint: name.clone() });
    vec![begin, validate, set(catalog, table, column, phase, Some(&name))]
}

/// From 18: the NOT NULL constraint itself can be added NOT VALID.
fn by_constraint(catalog: &Catalog, table: &Name, column: &Ident, phase: Phase) -> Vec<Step> {
    let marking = marking(catalog, table, column);
    let Some(name) = marking.name.clone() else { return Vec::new() };
    let mut steps = Vec::new();
    let known = catalog.relation(table).and_then(|table| table.column(column)?.not_null.as_ref());
    if known.is_none_or(|marking| marking.valid) {
        let mut drop = vec![ddl::constraint::drop_if_exists(table, &name)];
        drop.extend(drop_in_partitions(catalog, table, column));
        let undo = drop_constraint(catalog, table, &name, drop).provides(marked(table, column, None));
        steps.push(
            Step::transaction(
                phase,
                format!("Reject new NULLs in column {column} of {table}"),
                "a NOT NULL constraint that is not yet validated needs no scan",
                vec![ddl::constraint::add_not_valid(table, &name, &format!("NOT NULL {column}"))],
            )
            .locks(tree::locks(catalog, table, LockMode::AccessExclusive))
            .probe(Probe::Constraint { table: table.clone(), name: name.clone(), validated: Some(false) })
            .undone_by(vec![undo])
            .requires(Need::Column(table.clone(), column.clone()))
            .provides(marked(table, column, Some(NotNull { valid: false, ..marking.clone() }))),
        );
    }
    steps.push(validate(catalog, table, column, &name, phase).provides(marked(table, column, Some(marking))));
    steps
}

fn validate(catalog: &Catalog, table: &Name, column: &Ident, name: &Ident, phase: Phase) -> Step {
    let mut step = Step::new(
        phase,
        format!("Check that no row of {table} has a NULL in column {column}"),
        "the scan runs beside reads and writes",
        Action::Long { sql: ddl::constraint::validate(table, name) },
    )
    .locks(tree::locks(catalog, table, LockMode::ShareUpdateExclusive))
    .probe(Probe::Constraint { table: table.clone(), name: name.clone(), validated: Some(true) });
    step.work = tree::work(catalog, table, WorkKind::Scan);
    step
}

/// `check` is the temporary CHECK that goes in the same transaction.
fn set(catalog: &Catalog, table: &Name, column: &Ident, phase: Phase, check: Option<&Ident>) -> Step {
    let locks = tree::locks(catalog, table, LockMode::AccessExclusive);
    let mut drop = vec![ddl::column::drop_not_null(table, column)];
    drop.extend(drop_in_partitions(catalog, table, column));
    let undo = Step::transaction(
        Phase::Expand,
        format!("Allow NULL in column {column} of {table}"),
        "takes back SET NOT NULL",
        drop,
    )
    .locks(locks.clone())
    .probe(Probe::NotNull { table: table.clone(), column: column.clone(), not_null: false })
    .provides(marked(table, column, None));
    let mut sql = vec![ddl::column::set_not_null(table, column)];
    sql.extend(check.map(|name| ddl::constraint::drop_if_exists(table, name)));
    let why = match check {
        Some(_) => "the validated CHECK implies it, so nothing is scanned; the CHECK has done its work",
        None => "nothing has to be scanned",
    };
    let step = Step::transaction(phase, format!("Make column {column} of {table} NOT NULL"), why, sql)
        .locks(locks)
        .probe(Probe::NotNull { table: table.clone(), column: column.clone(), not_null: true })
        .undo(Undo::Steps { steps: vec![undo], loses: own_markings(catalog, table, column) })
        .requires(Need::Column(table.clone(), column.clone()))
        .provides(effect(catalog, table, column));
    match check {
        Some(name) => {
            step.provides(Effect::ConstraintGone { table: table.clone(), constraint: name.clone() })
        }
        None => step,
    }
}

/// Partitions that are NOT NULL by themselves: DROP NOT NULL on the partitioned table takes it from them too.
fn own_markings(catalog: &Catalog, table: &Name, column: &Ident) -> Option<String> {
    let marked = catalog.tree(table).into_iter().filter(|relation| {
        relation.name != *table && relation.column(column).is_some_and(|column| column.not_null.is_some())
    });
    let names: Vec<String> = marked.map(|relation| relation.name.to_string()).collect();
    (!names.is_empty())
        .then(|| format!("NOT NULL on column {column} of {}, which were marked before", names.join(", ")))
}

/// From 18 on, a primary key that a partition got meanwhile makes the NOT NULL that it inherited its own, which stays when the
/// partitioned table's goes, and the key's too. Source: `AdjustNotNullInheritance` in src/backend/catalog/pg_constraint.c.
fn drop_in_partitions(catalog: &Catalog, table: &Name, column: &Ident) -> Vec<String> {
    if !catalog.server.version.not_null_not_valid() {
        return Vec::new();
    }
    let bare = catalog
        .tree(table)
        .into_iter()
        .skip(1)
        .filter(|partition| partition.column(column).is_some_and(|column| column.not_null.is_none()));
    bare.map(|partition| ddl::column::drop_not_null(&partition.name, column)).collect()
}

fn drop_constraint(catalog: &Catalog, table: &Name, name: &Ident, sql: Vec<String>) -> Step {
    Step::transaction(
        Phase::Expand,
        format!("Drop constraint {name} of {table}"),
        "takes back what was to become NOT NULL",
        sql,
    )
    .locks(tree::locks(catalog, table, LockMode::AccessExclusive))
    .probe(Probe::Constraint { table: table.clone(), name: name.clone(), validated: None })
}

fn check_name(table: &Name, column: &Ident) -> Ident {
    Ident::generated(
        &format!("concertina_not_null_{}", column.as_str()),
        &format!("not null {table}.{column}"),
    )
}
