//! What only reads, and rows that are given in the statement.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateTableAsStmt, InsertStmt, ObjectType, RangeVar, SelectStmt, ViewStmt};

use crate::catalog::{Column, Dependent, DependentKind, Extras, Relation, RelationKind};
use crate::effect::Effect;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::as_written::{Entry, exists};
use crate::sql::lower::output::{self, renamed};
use crate::sql::lower::{Lower, Lowered, Refused, create_table, tree};

/// Lowers it if it is one of them.
pub(super) fn lower(lower: &Lower, node: &NodeEnum) -> Option<Lowered> {
    Some(match node {
        NodeEnum::ViewStmt(view) => self::view(lower, view),
        NodeEnum::CreateTableAsStmt(statement) => table_as(lower, statement),
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => select_into(lower, select),
        NodeEnum::InsertStmt(insert) if given_rows(insert) => self::insert(lower, insert),
        NodeEnum::RefreshMatViewStmt(refresh) if refresh.concurrent => {
            let view = match lower.relation("refresh_materialized_view", refresh.relation.as_ref()?) {
                Ok(view) => view,
                Err(missing) => return Some(Err(missing)),
            };
            let mut entry = Entry::lasting("refresh_materialized_view", "what it held before is gone");
            entry.locks.push(LockClaim { relation: view.name.clone(), mode: LockMode::Exclusive });
            entry.work.push(Work { relation: view.name.clone(), what: WorkKind::Rows });
            entry.done(lower)
        }
        NodeEnum::VacuumStmt(statement) if !statement.is_vacuumcmd => {
            let mut entry = Entry::new("analyze", Vec::new(), String::new());
            for node in ast::each(&statement.rels) {
                let NodeEnum::VacuumRelation(relation) = node else { continue };
                match relation.relation.as_ref().map(|var| lower.relation("analyze", var)) {
                    Some(Ok(table)) => {
                        entry.locks.extend(tree(lower.catalog, table, LockMode::ShareUpdateExclusive));
                    }
                    Some(Err(missing)) => return Some(Err(missing)),
                    None => {}
                }
            }
            entry.done(lower)
        }
        _ => return None,
    })
}

/// ACCESS SHARE on whatever a query reads: what an earlier statement does to these later would come too late.
fn reads(lower: &Lower, query: &NodeEnum) -> Vec<LockClaim> {
    let mut claims: Vec<LockClaim> = Vec::new();
    for (schema, name) in ast::relations(query) {
        if let Some(relation) = lower.catalog.resolve(schema.as_ref(), &name)
            && !claims.iter().any(|claim| claim.relation == relation.name)
        {
            claims.push(LockClaim { relation: relation.name.clone(), mode: LockMode::AccessShare });
        }
    }
    claims
}

fn view(lower: &Lower, statement: &ViewStmt) -> Lowered {
    let (Some(var), Some(query)) = (&statement.view, ast::node(statement.query.as_deref())) else {
        return Ok(Vec::new());
    };
    if var.relpersistence == "t" {
        return Err(Refused { run: None, ..create_table::temporary(lower) });
    }
    let (schema, name) = ast::table_name(var);
    let name = lower.new_name(schema, name);
    let old = lower.catalog.relation(&name);
    if lower.catalog.relation_name_taken(&name)
        && !(statement.replace && old.is_some_and(|old| old.kind == RelationKind::View))
    {
        return Err(exists(lower, "create_view", &name));
    }
    let mut relation = old.cloned().unwrap_or_else(|| {
        Relation::new(name.clone(), RelationKind::View, lower.catalog.server.role.clone())
    });
    relation.columns = columns(lower, query, &ast::idents(&statement.aliases)).unwrap_or_default();
    let undo = format!("DROP VIEW {name}");
    let mut entry = Entry::new("create_view", vec![Effect::Relation(Box::new(relation))], undo);
    entry.locks = reads(lower, query);
    entry.whole = whole_rows(query);
    entry.effects.extend(dependents(lower, &name, RelationKind::View, query));
    if let Some(old) = old {
        // Source: DefineVirtualRelation in src/backend/commands/view.c.
        entry.locks.retain(|claim| claim.relation != old.name);
        entry.locks.push(LockClaim { relation: old.name.clone(), mode: LockMode::AccessExclusive });
        entry.undo = Err("the view's text before is not recorded".to_owned());
    }
    entry.done(lower)
}

/// Whether the query sees columns that it does not name: by `*`, by a table's name as a value, or by NATURAL.
fn whole_rows(query: &NodeEnum) -> bool {
    let mut tables: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut whole = false;
    ast::walk(query, &mut |kind, fields| {
        match kind {
            "ColumnRef" => match &ast::name_parts(fields, "fields")[..] {
                [Some(alone)] => names.push(alone.clone()),
                parts => whole |= parts.last().is_some_and(Option::is_none),
            },
            "RangeVar" => {
                let alias = fields.get("alias").and_then(|alias| alias.get("aliasname"));
                let alias = alias.and_then(|alias| alias.as_str());
                tables.push(alias.unwrap_or_else(|| ast::text(fields, "relname")).to_owned());
            }
            "JoinExpr" => whole |= fields.get("is_natural").is_some_and(|natural| natural == true),
            _ => {}
        }
        true
    });
    whole || names.iter().any(|name| tables.contains(name))
}

fn columns(lower: &Lower, query: &NodeEnum, names: &[Ident]) -> Option<Vec<Column>> {
    let columns = renamed(output::columns(lower.catalog, query), names)?;
    Some(
        columns
            .into_iter()
            .map(|(name, data_type)| Column {
                name,
                data_type,
                not_null: None,
                default: None,
                identity: None,
                generated: None,
                new_here: true,
                extras: Extras::default(),
            })
            .collect(),
    )
}

fn table_as(lower: &Lower, statement: &CreateTableAsStmt) -> Lowered {
    let (Some(into), Some(query)) = (&statement.into, ast::node(statement.query.as_deref())) else {
        return Ok(Vec::new());
    };
    let (kind, made, word) = match statement.objtype() {
        ObjectType::ObjectMatview => {
            ("create_materialized_view", RelationKind::MaterializedView, "MATERIALIZED VIEW")
        }
        _ => ("create_table_as", RelationKind::Table, "TABLE"),
    };
    let Some(var) = &into.rel else { return Ok(Vec::new()) };
    let names = ast::idents(&into.col_names);
    from_query(
        lower,
        Made { kind, made, word, var, query, names, data: !into.skip_data, maybe: statement.if_not_exists },
    )
}

fn select_into(lower: &Lower, select: &SelectStmt) -> Lowered {
    let Some(into) = &select.into_clause else { return Ok(Vec::new()) };
    let Some(var) = &into.rel else { return Ok(Vec::new()) };
    let mut query = select.clone();
    query.into_clause = None;
    let query = NodeEnum::SelectStmt(Box::new(query));
    let names = Vec::new();
    let (kind, made, word) = ("create_table_as", RelationKind::Table, "TABLE");
    from_query(lower, Made { kind, made, word, var, query: &query, names, data: true, maybe: false })
}

/// A table made from a query.
struct Made<'a> {
    kind: &'static str,
    made: RelationKind,
    word: &'static str,
    var: &'a RangeVar,
    query: &'a NodeEnum,
    names: Vec<Ident>,
    data: bool,
    maybe: bool,
}

fn from_query(lower: &Lower, made: Made) -> Lowered {
    if made.var.relpersistence == "t" {
        return Err(Refused { run: None, ..create_table::temporary(lower) });
    }
    let (schema, name) = ast::table_name(made.var);
    let name = lower.new_name(schema, name);
    if lower.catalog.relation_name_taken(&name) {
        return if made.maybe { Ok(Vec::new()) } else { Err(exists(lower, made.kind, &name)) };
    }
    let undo = format!("DROP {} {name}", made.word);
    let dependents = match made.made {
        RelationKind::MaterializedView => dependents(lower, &name, made.made, made.query),
        _ => Vec::new(),
    };
    let mut relation = Relation::new(name, made.made, lower.catalog.server.role.clone());
    relation.unlogged = made.var.relpersistence == "u";
    let effect = match columns(lower, made.query, &made.names) {
        Some(columns) => {
            relation.columns = columns;
            Effect::Relation(Box::new(relation))
        }
        None => Effect::Unknown(made.kind.to_owned()),
    };
    let mut entry = Entry::new(made.kind, vec![effect], undo);
    entry.effects.extend(dependents);
    entry.locks = reads(lower, made.query);
    entry.whole = whole_rows(made.query);
    if made.data {
        entry.work = entry
            .locks
            .iter()
            .map(|claim| Work { relation: claim.relation.clone(), what: WorkKind::Scan })
            .collect();
    }
    entry.done(lower)
}

/// Whether the rows are given in the statement, so that there are few, and known.
fn given_rows(insert: &InsertStmt) -> bool {
    if insert.with_clause.is_some() {
        return false;
    }
    match ast::node(insert.select_stmt.as_deref()) {
        None => true,
        Some(NodeEnum::SelectStmt(select)) if !select.values_lists.is_empty() => true,
        Some(query) => ast::relations(query).is_empty(),
    }
}

fn insert(lower: &Lower, insert: &InsertStmt) -> Lowered {
    let Some(var) = &insert.relation else { return Ok(Vec::new()) };
    let table = lower.relation("insert", var)?;
    for column in ast::each(&insert.cols) {
        if let NodeEnum::ResTarget(target) = column {
            let column = Ident::from(target.name.as_str());
            if table.column(&column).is_none() {
                return Err(lower.missing_column("insert", table, &column));
            }
        }
    }
    let mut entry = Entry::lasting("insert", "which rows came from it is not recorded");
    entry.locks.push(LockClaim { relation: table.name.clone(), mode: LockMode::RowExclusive });
    if let Some(query) = ast::node(insert.select_stmt.as_deref()) {
        entry.locks.extend(reads(lower, query).into_iter().filter(|claim| claim.relation != table.name));
    }
    if table.new_here {
        entry.undo = Ok(String::new());
    }
    entry.done(lower)
}

/// Everything that a view reads comes to depend on it: DROP COLUMN later in the file meets it. By column where the query
/// names columns, and only as far as names show.
fn dependents(lower: &Lower, view: &Name, made: RelationKind, query: &NodeEnum) -> Vec<Effect> {
    let visible = lower.catalog.server.search_path.contains(&view.schema);
    let word = if made == RelationKind::MaterializedView { "materialized view" } else { "view" };
    let description = if visible { format!("{word} {}", view.name) } else { format!("{word} {view}") };
    let mut named: Vec<Ident> = Vec::new();
    let mut star = false;
    ast::walk(query, &mut |kind, fields| {
        if kind == "ColumnRef" {
            match ast::name_parts(fields, "fields").last() {
                Some(Some(last)) => named.push(Ident::from(last.as_str())),
                Some(None) => star = true,
                None => {}
            }
        }
        true
    });
    let mut effects = Vec::new();
    for claim in reads(lower, query) {
        let Some(relation) = lower.catalog.relation(&claim.relation) else { continue };
        let uses = relation.columns.iter().filter(|column| star || named.contains(&column.name));
        let mut columns: Vec<Option<Ident>> = uses.map(|column| Some(column.name.clone())).collect();
        if columns.is_empty() {
            columns.push(None);
        }
        effects.extend(columns.into_iter().map(|column| Effect::Dependent {
            relation: relation.name.clone(),
            dependent: Dependent {
                column,
                kind: DependentKind::View,
                description: description.clone(),
                automatic: false,
                anew: None,
            },
        }));
    }
    effects
}
