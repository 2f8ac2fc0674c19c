//! UPDATE and DELETE.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{DeleteStmt, RangeVar, ResTarget, UpdateStmt};

use crate::catalog::{Relation, RelationKind};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::delete_table::DeleteTable;
use crate::kind::update_table::UpdateTable;
use crate::pg::lock::LockMode;
use crate::plan::{Work, WorkKind};
use crate::sql::analyse::Scope;
use crate::sql::ident::Ident;
use crate::sql::lower::{Lower, Lowered, Refused, Run, noun};
use crate::sql::tokens::Kind;
use crate::sql::{analyse, ast};

/// UPDATE of one table.
pub(crate) fn update(lower: &Lower, statement: &UpdateStmt) -> Lowered {
    let Some(var) = &statement.relation else { return Ok(Vec::new()) };
    let table = target(lower, "update_table", var)?;
    let alias = var.alias.as_ref().map(|alias| Ident::from(alias.aliasname.as_str()));
    let scope = Scope {
        catalog: lower.catalog,
        table: Some(table),
        schema: Some(table.name.schema.clone()),
        aliased: alias.is_some(),
        joined: !statement.from_clause.is_empty(),
        alias: alias.unwrap_or_else(|| table.name.name.clone()),
    };
    let tokens = lower.tokens;
    let clauses = Clauses::find(lower, statement);
    let targets: Vec<&ResTarget> = ast::each(&statement.target_list)
        .filter_map(|node| match node {
            NodeEnum::ResTarget(target) => Some(&**target),
            _ => None,
        })
        .collect();

    let mut beyond = beyond(statement, table);
    let mut set = Vec::new();
    for target in targets {
        let column = Ident::from(target.name.as_str());
        if table.column(&column).is_none() {
            return Err(lower.missing_column("update_table", table, &column));
        }
        if !target.indirection.is_empty() {
            beyond.get_or_insert_with(|| format!("an assignment to a part of column {column}"));
        }
        let start = tokens.at(ast::byte(target.location));
        let end = tokens.element_end(start, clauses.set_end);
        let Some(node) = ast::node(target.val.as_deref()) else { continue };
        if matches!(node, NodeEnum::MultiAssignRef(_)) {
            beyond.get_or_insert_with(|| "a multi-column assignment".to_owned());
        }
        let equals = tokens.find(start, end, |kind| kind == Kind::Ascii61).unwrap_or(start);
        set.push((column, analyse::expr(tokens, equals + 1..end, node, &scope)));
    }
    let filter = ast::node(statement.where_clause.as_deref()).and_then(|node| {
        if matches!(node, NodeEnum::CurrentOfExpr(_)) {
            beyond.get_or_insert_with(|| "WHERE CURRENT OF".to_owned());
        }
        clauses.filter.clone().map(|at| analyse::expr(tokens, at, node, &scope))
    });
    Ok(vec![Change::UpdateTable(UpdateTable {
        sql: lower.sql().to_owned(),
        table: table.name.clone(),
        alias: scope.alias,
        set,
        filter,
        beyond,
    })])
}

/// DELETE from one table.
pub(crate) fn delete(lower: &Lower, statement: &DeleteStmt) -> Lowered {
    let Some(var) = &statement.relation else { return Ok(Vec::new()) };
    let table = target(lower, "delete_table", var)?;
    let alias = var.alias.as_ref().map(|alias| Ident::from(alias.aliasname.as_str()));
    let scope = Scope {
        catalog: lower.catalog,
        table: Some(table),
        schema: Some(table.name.schema.clone()),
        aliased: alias.is_some(),
        joined: !statement.using_clause.is_empty(),
        alias: alias.unwrap_or_else(|| table.name.name.clone()),
    };
    let mut beyond = [
        (statement.with_clause.is_some(), "a WITH clause"),
        (!statement.using_clause.is_empty(), "a USING clause"),
        (statement.returning_clause.is_some(), "RETURNING"),
        (!var.inh && (table.inherits || !table.partitions.is_empty()), "ONLY"),
    ]
    .into_iter()
    .find_map(|(is, what)| is.then(|| what.to_owned()));
    let filter = ast::node(statement.where_clause.as_deref()).and_then(|node| {
        if matches!(node, NodeEnum::CurrentOfExpr(_)) {
            beyond.get_or_insert_with(|| "WHERE CURRENT OF".to_owned());
        }
        after_where(lower, var).map(|at| analyse::expr(lower.tokens, at, node, &scope))
    });
    Ok(vec![Change::DeleteTable(DeleteTable {
        sql: lower.sql().to_owned(),
        table: table.name.clone(),
        alias: scope.alias,
        filter,
        beyond,
    })])
}

/// The expression of a DELETE without RETURNING: everything after the first WHERE outside of parentheses.
fn after_where(lower: &Lower, var: &RangeVar) -> Option<Range<usize>> {
    let tokens = lower.tokens;
    let end = lower.statement.tokens.end;
    let name = tokens.after_name(tokens.at(ast::byte(var.location)));
    let depth = tokens.get(lower.statement.tokens.start).map_or(0, |token| token.depth);
    let word = (name..end).find(|at| {
        tokens.kind(*at) == Kind::Where && tokens.get(*at).is_some_and(|token| token.depth == depth)
    })?;
    Some(word + 1..end)
}

/// The table that is written.
fn target<'a>(lower: &Lower<'a>, kind: &'static str, var: &RangeVar) -> Result<&'a Relation, Refused> {
    let table = lower.relation(kind, var)?;
    if matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        return Ok(table);
    }
    let mut run = Run::locking(lower.catalog, table, LockMode::RowExclusive);
    run.work.push(Work { relation: table.name.clone(), what: WorkKind::Rows });
    Err(lower.refuse(
        kind,
        Code::NotYet,
        format!(
            "{} is a {}: which rows of which tables are written through it is not known",
            table.name,
            noun(table.kind)
        ),
        "write to the table itself",
        run,
    ))
}

/// Where the clauses of an UPDATE are.
struct Clauses {
    /// One past the last token of SET.
    set_end: usize,
    /// The expression after WHERE.
    filter: Option<Range<usize>>,
}

impl Clauses {
    fn find(lower: &Lower, statement: &UpdateStmt) -> Self {
        let tokens = lower.tokens;
        let end = lower.statement.tokens.end;
        let first = statement.target_list.first();
        let start = match ast::node(first) {
            Some(NodeEnum::ResTarget(target)) => tokens.at(ast::byte(target.location)),
            _ => lower.statement.tokens.start,
        };
        let depth = tokens.get(start).map_or(0, |token| token.depth);
        // A multi-column assignment starts inside its parentheses; clauses are outside.
        let depth = depth.min(tokens.get(lower.statement.tokens.start).map_or(0, |token| token.depth));
        let at = |wanted: Kind, from: usize| {
            (from..end).find(|i| {
                tokens.get(*i).is_some_and(|token| token.depth == depth)
                    && tokens.kind(*i) == wanted
                    // IS DISTINCT FROM is an operator, `t.where` a column.
                    && !(wanted == Kind::From && tokens.kind(i - 1) == Kind::Distinct)
                    && tokens.kind(i - 1) != Kind::Ascii46
            })
        };
        let from = if statement.from_clause.is_empty() { None } else { at(Kind::From, start) };
        let filter = statement.where_clause.as_ref().and_then(|_| at(Kind::Where, from.unwrap_or(start)));
        let returning = statement
            .returning_clause
            .as_ref()
            .and_then(|_| at(Kind::Returning, filter.or(from).unwrap_or(start)));
        let end = returning.unwrap_or(end);
        Self { set_end: from.or(filter).unwrap_or(end), filter: filter.map(|word| word + 1..end) }
    }
}

fn beyond(statement: &UpdateStmt, table: &Relation) -> Option<String> {
    if statement.with_clause.is_some() {
        Some("a WITH clause".to_owned())
    } else if !statement.from_clause.is_empty() {
        Some("a FROM clause".to_owned())
    } else if statement.returning_clause.is_some() {
        Some("RETURNING".to_owned())
    } else if statement.relation.as_ref().is_some_and(|var| !var.inh)
        && (table.inherits || !table.partitions.is_empty())
    {
        Some("ONLY".to_owned())
    } else {
        None
    }
}
