//! Table and column constraints added to a table.

use std::ops::Range;

use pg_query::protobuf::{ConstrType, Constraint, RangeVar};

use crate::catalog::Relation;
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::add_check::AddCheck;
use crate::kind::add_foreign_key::AddForeignKey;
use crate::kind::add_primary_key::AddPrimaryKey;
use crate::kind::add_unique::AddUnique;
use crate::kind::set_not_null::SetNotNull;
use crate::kind::shared::key::{Key, Sort};
use crate::pg::lock::LockMode;
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, Lowered, Refused, Run, tree};
use crate::sql::names::{IndexSort, Namer};
use crate::sql::tokens::{Kind, Tokens};
use crate::sql::{analyse, ast};

/// ADD CONSTRAINT, or an inline constraint of ADD COLUMN (then `column` is the column). `at` are its tokens.
pub(crate) fn add(
    lower: &Lower,
    table: &Relation,
    constraint: &Constraint,
    at: &Range<usize>,
    column: Option<&Ident>,
) -> Lowered {
    let mut namer = Namer::new(lower.catalog, &table.name.schema);
    let given = (!constraint.conname.is_empty()).then(|| Ident::from(constraint.conname.as_str()));
    match constraint.contype() {
        ConstrType::ConstrCheck => {
            if !constraint.is_enforced || is_not_enforced(lower.tokens, at) {
                return Err(not_enforced(lower, table, "add_check"));
            }
            let expr = check_expr(lower, table, constraint, at);
            let name = given
                .unwrap_or_else(|| namer.constraint(&table.name.name, only_column(&expr).as_deref(), "check"));
            Ok(vec![Change::AddCheck(AddCheck {
                table: table.name.clone(),
                name,
                expr,
                no_inherit: constraint.is_no_inherit,
                not_valid: constraint.skip_validation,
            })])
        }
        ConstrType::ConstrUnique => {
            let key = key(lower, table, constraint, at, Sort::Unique, given, column)?;
            Ok(vec![Change::AddUnique(AddUnique { key })])
        }
        ConstrType::ConstrForeign => {
            if !constraint.is_enforced || is_not_enforced(lower.tokens, at) {
                return Err(not_enforced(lower, table, "add_foreign_key"));
            }
            let key = foreign_key(lower, table, constraint, at, column)?;
            let name = given.unwrap_or_else(|| namer.foreign_key(&table.name.name, &key.columns));
            Ok(vec![Change::AddForeignKey(AddForeignKey { name, ..key })])
        }
        ConstrType::ConstrNotnull => not_null(lower, table, constraint, given.is_some()),
        ConstrType::ConstrPrimary => {
            let key = key(lower, table, constraint, at, Sort::Primary, given, column)?;
            Ok(vec![Change::AddPrimaryKey(AddPrimaryKey { key })])
        }
        _ => Err(lower.refuse(
            "add_exclude",
            Code::NoOnlineForm,
            format!(
                "ADD EXCLUDE scans {} and builds its index under ACCESS EXCLUSIVE; PostgreSQL has no form of it that lets writes go on",
                table.name
            ),
            "make a new table with the constraint, or enforce the rule by a trigger",
            Run::on(lower.catalog, table).unknown("add_exclude"),
        )),
    }
}

/// ADD UNIQUE or ADD PRIMARY KEY.
fn key(
    lower: &Lower,
    table: &Relation,
    constraint: &Constraint,
    at: &Range<usize>,
    sort: Sort,
    given: Option<Ident>,
    column: Option<&Ident>,
) -> Result<Key, Refused> {
    let kind = match sort {
        Sort::Unique => "add_unique",
        Sort::Primary => "add_primary_key",
    };
    if constraint.without_overlaps {
        return Err(without_overlaps(lower, table, kind));
    }
    let using_index = (!constraint.indexname.is_empty()).then(|| Ident::from(constraint.indexname.as_str()));
    let index = using_index.as_ref().and_then(|name| table.index(name));
    if let (Some(name), None, Sort::Unique) = (&using_index, index, sort) {
        let reason = format!("index {name} of {} does not exist", table.name);
        return Err(lower.will_fail(kind, "42704", reason, "correct the name", None));
    }
    let mut columns = column.map_or_else(|| ast::idents(&constraint.keys), |column| vec![column.clone()]);
    let mut include = ast::idents(&constraint.including);
    if let (Some(index), Sort::Primary) = (index, sort) {
        // They become NOT NULL.
        columns = index.columns.iter().flatten().cloned().collect();
        include.clone_from(&index.include);
    }
    for column in columns.iter().chain(&include) {
        if table.column(column).is_none() {
            return Err(lower.missing_column(kind, table, column));
        }
    }
    let mut namer = Namer::new(lower.catalog, &table.name.schema);
    let name = given.or_else(|| using_index.clone()).unwrap_or_else(|| match sort {
        Sort::Unique => {
            let of = columns.iter().chain(&include).map(|column| column.as_str().to_owned());
            namer.index(&table.name.name, &of.collect::<Vec<_>>(), IndexSort::Unique)
        }
        Sort::Primary => namer.index(&table.name.name, &[], IndexSort::PrimaryKey),
    });
    let KeyClauses { storage, deferrable } = key_clauses(lower.tokens, at);
    Ok(Key {
        sort,
        table: table.name.clone(),
        name,
        columns,
        include,
        nulls_not_distinct: constraint.nulls_not_distinct,
        storage,
        deferrable,
        using_index,
    })
}

fn without_overlaps(lower: &Lower, table: &Relation, kind: &'static str) -> Refused {
    lower.refuse(
        kind,
        Code::NoOnlineForm,
        "WITHOUT OVERLAPS is an exclusion constraint: it is built under ACCESS EXCLUSIVE",
        "make a new table with the constraint",
        Run::on(lower.catalog, table).unknown(kind),
    )
}

/// ADD CONSTRAINT … NOT NULL column (18+).
fn not_null(lower: &Lower, table: &Relation, constraint: &Constraint, named: bool) -> Lowered {
    if !lower.catalog.server.version.not_null_not_valid() {
        return Err(lower.will_fail(
            "set_not_null",
            "42601",
            format!("PostgreSQL {} has no ADD … NOT NULL", lower.catalog.server.version),
            "write ALTER COLUMN … SET NOT NULL",
            None,
        ));
    }
    let Some(column) = ast::idents(&constraint.keys).into_iter().next() else { return Ok(Vec::new()) };
    if table.column(&column).is_none() {
        return Err(lower.missing_column("set_not_null", table, &column));
    }
    if named || constraint.skip_validation || constraint.is_no_inherit {
        return Err(lower.refuse(
            "add_not_null",
            Code::NotYet,
            "a NOT NULL constraint with a name or options of its own is not planned yet; as written it scans the table under ACCESS EXCLUSIVE",
            "write ALTER COLUMN … SET NOT NULL",
            Run::on(lower.catalog, table).unknown("add_not_null"),
        ));
    }
    Ok(vec![Change::SetNotNull(SetNotNull { table: table.name.clone(), column })])
}

fn not_enforced(lower: &Lower, table: &Relation, kind: &'static str) -> Refused {
    lower.refuse(
        kind,
        Code::NotYet,
        "NOT ENFORCED constraints are not planned yet; as written it is one short ACCESS EXCLUSIVE lock without a scan",
        "leave the constraint out, since it enforces nothing",
        Run::on(lower.catalog, table).unknown(kind),
    )
}

/// The expression of a CHECK.
pub(crate) fn check_expr(
    lower: &Lower,
    table: &Relation,
    constraint: &Constraint,
    at: &Range<usize>,
) -> Expr {
    let tokens = lower.tokens;
    let word = tokens.find(at.start, at.end, |kind| kind == Kind::Check).unwrap_or(at.start);
    let inside = word + 2..tokens.close(word + 1);
    match ast::node(constraint.raw_expr.as_deref()) {
        Some(node) => analyse::expr(tokens, inside, node, &lower.scope_of(table)),
        None => Expr::default(),
    }
}

/// The column whose name a CHECK gets, if it is over exactly one. Source: AddRelationNewConstraints in heap.c.
pub(crate) fn only_column(expr: &Expr) -> Option<String> {
    let first = expr.columns.first()?;
    let same = !expr.whole_row && expr.columns.iter().all(|reference| reference.column == first.column);
    same.then(|| first.column.as_str().to_owned())
}

/// `WITH (…)`, `USING INDEX TABLESPACE …` and DEFERRABLE clauses of a key.
#[derive(Debug)]
pub(crate) struct KeyClauses {
    /// Storage of the index.
    pub(crate) storage: String,
    /// DEFERRABLE and INITIALLY.
    pub(crate) deferrable: String,
}

/// Slices them.
pub(crate) fn key_clauses(tokens: &Tokens, at: &Range<usize>) -> KeyClauses {
    let depth = tokens.get(at.start).map_or(0, |token| token.depth);
    let top: Vec<usize> =
        at.clone().filter(|i| tokens.get(*i).is_some_and(|token| token.depth == depth)).collect();
    let find = |kind: Kind| top.iter().copied().find(|i| tokens.kind(*i) == kind);
    let deferrable = top.iter().copied().find(|i| match tokens.kind(*i) {
        Kind::Deferrable | Kind::Initially => true,
        Kind::Not => tokens.kind(i + 1) == Kind::Deferrable,
        _ => false,
    });
    let attributes = deferrable.unwrap_or(at.end);
    // A name may be spelled like a keyword, so only what follows the word itself counts.
    let with = find(Kind::With).filter(|i| tokens.kind(i + 1) == Kind::Ascii40);
    let space = top.iter().copied().find(|i| {
        tokens.kind(*i) == Kind::Using
            && tokens.kind(i + 1) == Kind::Index
            && tokens.kind(i + 2) == Kind::Tablespace
    });
    let storage = with.into_iter().chain(space).min();
    KeyClauses {
        storage: storage.map_or("", |from| tokens.slice(from, attributes)).to_owned(),
        deferrable: deferrable.map_or("", |from| tokens.slice(from, at.end)).to_owned(),
    }
}

/// A foreign key without its name.
fn foreign_key(
    lower: &Lower,
    table: &Relation,
    constraint: &Constraint,
    at: &Range<usize>,
    column: Option<&Ident>,
) -> Result<AddForeignKey, Refused> {
    let Some(var) = &constraint.pktable else {
        return Err(lower.will_fail("add_foreign_key", "42601", "no table is referenced", "name one", None));
    };
    let columns = match column {
        Some(column) => vec![column.clone()],
        None => ast::idents(&constraint.fk_attrs),
    };
    for column in &columns {
        if table.column(column).is_none() {
            return Err(lower.missing_column("add_foreign_key", table, column));
        }
    }
    let referenced = lower.relation("add_foreign_key", var)?;
    let referenced_columns = referenced_columns(lower, constraint, referenced)?;
    if constraint.fk_with_period {
        let mut run = Run::locking(lower.catalog, table, LockMode::ShareRowExclusive);
        run.locks.extend(tree(lower.catalog, referenced, LockMode::ShareRowExclusive));
        return Err(lower.refuse(
            "add_foreign_key",
            Code::NotYet,
            "temporal foreign keys (PERIOD) are not planned yet; as written both tables are scanned while writes to them wait",
            "add it NOT VALID and VALIDATE it by hand",
            run.unknown("add_foreign_key"),
        ));
    }
    Ok(AddForeignKey {
        table: table.name.clone(),
        name: Ident::default(),
        columns,
        references: referenced.name.clone(),
        referenced_columns,
        options: foreign_key_options(lower.tokens, constraint, var, at),
        deferrable: constraint.deferrable || deferrable(lower.tokens, at),
        not_valid: constraint.skip_validation,
    })
}

/// The referenced columns, the primary key's where none are written.
pub(crate) fn referenced_columns(
    lower: &Lower,
    constraint: &Constraint,
    referenced: &Relation,
) -> Result<Vec<Ident>, Refused> {
    let written = ast::idents(&constraint.pk_attrs);
    if let Some(missing) = written.iter().find(|column| referenced.column(column).is_none()) {
        return Err(lower.missing_column("add_foreign_key", referenced, missing));
    }
    if !written.is_empty() {
        return Ok(written);
    }
    match referenced.primary_key() {
        Some(key) => Ok(key.columns.clone()),
        None => Err(lower.will_fail(
            "add_foreign_key",
            "42704",
            format!("{} has no primary key to reference", referenced.name),
            "name the referenced columns, which need a unique constraint",
            None,
        )),
    }
}

/// Whether DEFERRABLE is among the tokens, without a NOT before: for inline constraints, where it is a clause of its own.
pub(crate) fn deferrable(tokens: &Tokens, at: &Range<usize>) -> bool {
    let depth = tokens.get(at.start).map_or(0, |token| token.depth);
    at.clone().any(|i| {
        tokens.get(i).is_some_and(|token| token.depth == depth)
            && tokens.kind(i) == Kind::Deferrable
            && tokens.kind(i - 1) != Kind::Not
    })
}

/// Whether NOT ENFORCED (18+) is among the tokens.
fn is_not_enforced(tokens: &Tokens, at: &Range<usize>) -> bool {
    at.clone().any(|i| tokens.kind(i) == Kind::Not && tokens.kind(i + 1) == Kind::Enforced)
}

/// What follows the referenced columns, without NOT VALID.
pub(crate) fn foreign_key_options(
    tokens: &Tokens,
    constraint: &Constraint,
    var: &RangeVar,
    at: &Range<usize>,
) -> String {
    let mut from = tokens.after_name(tokens.at(ast::byte(var.location)));
    if !constraint.pk_attrs.is_empty() && tokens.kind(from) == Kind::Ascii40 {
        from = tokens.close(from) + 1;
    }
    let not_valid =
        (from..at.end).find(|i| tokens.kind(*i) == Kind::Not && tokens.kind(i + 1) == Kind::Valid);
    match not_valid {
        Some(not) => {
            let (before, after) = (tokens.slice(from, not), tokens.slice(not + 2, at.end));
            format!("{before} {after}").trim().to_owned()
        }
        None => tokens.slice(from, at.end).to_owned(),
    }
}

/// The table that a foreign key of a new table references; its own name means itself.
pub(crate) fn is_self(lower: &Lower, var: &RangeVar, own: &Name) -> bool {
    let (schema, name) = ast::table_name(var);
    lower.new_name(schema, name) == *own && lower.catalog.relation(own).is_none()
}
