//! CREATE INDEX and DROP INDEX.

use std::collections::BTreeSet;

use pg_query::protobuf::{DropStmt, IndexElem, IndexStmt, ObjectType, ReindexObjectType, ReindexStmt};
use pg_query::{Node, NodeEnum};

use crate::catalog::{Index, Relation, RelationKind};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::create_index::CreateIndex;
use crate::kind::drop_index::{DropIndex, Part};
use crate::kind::reindex::Reindex;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::is_cascade;
use crate::sql::lower::{Lower, Lowered, Refused, Run, noun, written};
use crate::sql::names::{self, IndexSort, Namer};
use crate::sql::similar::did_you_mean;
use crate::sql::{analyse, ast};

/// CREATE INDEX.
pub(crate) fn create(lower: &Lower, statement: &IndexStmt) -> Lowered {
    let Some(var) = &statement.relation else { return Ok(Vec::new()) };
    let table = lower.relation("create_index", var)?;
    if !matches!(
        table.kind,
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView
    ) {
        let reason = format!("{} is a {}, which has no indexes", table.name, noun(table.kind));
        return Err(lower.will_fail("create_index", "42809", reason, "index the table below it", None));
    }
    let tokens = lower.tokens;
    let after = tokens.after_name(tokens.at(ast::byte(var.location)));
    let body = tokens.slice(after, lower.statement.tokens.end).to_owned();

    let keys = elements(&statement.index_params);
    let include = elements(&statement.index_including_params);
    let all: Vec<&IndexElem> = keys.iter().chain(&include).copied().collect();
    let mut uses = BTreeSet::new();
    for element in &all {
        uses_of(lower, table, element, &mut uses)?;
    }
    if let Some(predicate) = ast::node(statement.where_clause.as_deref()) {
        columns_of(lower, table, predicate, &mut uses)?;
    }
    let name = if statement.idxname.is_empty() {
        let mut namer = Namer::new(lower.catalog, &table.name.schema);
        namer.index(&table.name.name, &names::index_columns(&all), IndexSort::Plain)
    } else {
        Ident::from(statement.idxname.as_str())
    };
    let unique = if statement.unique { "UNIQUE " } else { "" };
    let index = Index {
        definition: format!("CREATE {unique}INDEX {name} ON {} {body}", table.name),
        name,
        columns: keys.iter().map(|element| key(element)).collect(),
        include: include.iter().filter_map(|element| key(element)).collect(),
        uses,
        unique: statement.unique,
        primary: false,
        exclusion: false,
        partial: statement.where_clause.is_some(),
        immediate: true,
        valid: true,
        constraint: None,
        inherited: false,
    };
    Ok(vec![Change::CreateIndex(CreateIndex {
        table: table.name.clone(),
        index,
        body,
        if_not_exists: statement.if_not_exists,
        only: !var.inh,
        concurrently: statement.concurrent,
    })])
}

/// REINDEX INDEX and REINDEX TABLE.
pub(crate) fn rebuild(lower: &Lower, statement: &ReindexStmt) -> Lowered {
    let Some(var) = &statement.relation else { return Ok(Vec::new()) };
    let concurrently = ast::option(&statement.params, "concurrently").is_some();
    if ast::option(&statement.params, "tablespace").is_some() {
        return Err(lower.refuse(
            "reindex",
            Code::NotYet,
            "REINDEX into another tablespace is not planned",
            "leave TABLESPACE out, or allow it",
            Run { alone: concurrently, ..Run::default() }.unknown("reindex"),
        ));
    }
    if statement.kind() != ReindexObjectType::ReindexObjectIndex {
        let table = lower.relation("reindex", var)?.name.clone();
        return Ok(vec![Change::Reindex(Reindex { table, index: None, concurrently })]);
    }
    let (schema, name) = ast::table_name(var);
    let found = find(lower, schema.as_ref(), &name);
    let Some((table, index)) = found.as_ref().and_then(|index| lower.catalog.index(index)) else {
        return Err(lower.missing_relation("reindex", schema.as_ref(), &name, None));
    };
    let change = Reindex { table: table.name.clone(), index: Some(index.name.clone()), concurrently };
    Ok(vec![Change::Reindex(change)])
}

/// The elements of an index.
pub(crate) fn elements(list: &[Node]) -> Vec<&IndexElem> {
    ast::each(list)
        .filter_map(|node| match node {
            NodeEnum::IndexElem(element) => Some(&**element),
            _ => None,
        })
        .collect()
}

/// A key column, `None` for an expression.
pub(crate) fn key(element: &IndexElem) -> Option<Ident> {
    (!element.name.is_empty()).then(|| Ident::from(element.name.as_str()))
}

fn uses_of(
    lower: &Lower,
    table: &Relation,
    element: &IndexElem,
    uses: &mut BTreeSet<Ident>,
) -> Result<(), Refused> {
    if let Some(column) = key(element) {
        if table.column(&column).is_none() {
            return Err(lower.missing_column("create_index", table, &column));
        }
        uses.insert(column);
    }
    match ast::node(element.expr.as_deref()) {
        Some(node) => columns_of(lower, table, node, uses),
        None => Ok(()),
    }
}

fn columns_of(
    lower: &Lower,
    table: &Relation,
    node: &NodeEnum,
    uses: &mut BTreeSet<Ident>,
) -> Result<(), Refused> {
    let expr = analyse::expr(lower.tokens, lower.statement.tokens.clone(), node, &lower.scope_of(table));
    if expr.whole_row {
        uses.extend(table.columns.iter().map(|column| column.name.clone()));
    }
    for reference in expr.columns {
        if table.column(&reference.column).is_none() && !is_system(&reference.column) {
            return Err(lower.missing_column("create_index", table, &reference.column));
        }
        uses.insert(reference.column);
    }
    Ok(())
}

/// System columns. Source: SysAtt in src/backend/catalog/heap.c.
fn is_system(column: &Ident) -> bool {
    matches!(column.as_str(), "tableoid" | "ctid" | "xmin" | "xmax" | "cmin" | "cmax")
}

/// Whether it is DROP INDEX.
pub(crate) fn is_index(drop: &DropStmt) -> bool {
    drop.remove_type() == ObjectType::ObjectIndex
}

/// DROP INDEX, one change an index.
pub(crate) fn drop(lower: &Lower, drop: &DropStmt) -> Lowered {
    let mut changes = Vec::new();
    for object in &drop.objects {
        let (schema, name) = ast::object_name(Some(object));
        match find(lower, schema.as_ref(), &name) {
            Some(index) => changes.push(Change::DropIndex(DropIndex {
                index,
                if_exists: drop.missing_ok,
                cascade: is_cascade(drop.behavior),
                concurrently: drop.concurrent,
                part: Part::Whole,
            })),
            None if drop.missing_ok => {}
            None => {
                let indexes = lower
                    .catalog
                    .relations
                    .values()
                    .flat_map(|relation| relation.indexes.iter().map(|index| index.name.to_string()));
                let hint = did_you_mean(&name.to_string(), indexes)
                    .unwrap_or_else(|| "correct the name, or check the search_path".to_owned());
                let reason = format!("index {} does not exist", written(schema.as_ref(), &name));
                return Err(lower.will_fail("drop_index", "42704", reason, hint, None));
            }
        }
    }
    Ok(changes)
}

/// The index that a name means.
pub(crate) fn find(lower: &Lower, schema: Option<&Ident>, name: &Ident) -> Option<Name> {
    let path = match schema {
        Some(schema) => std::slice::from_ref(schema),
        None => lower.catalog.server.search_path.as_slice(),
    };
    path.iter()
        .map(|schema| Name { schema: schema.clone(), name: name.clone() })
        .find(|name| lower.catalog.index(name).is_some())
}
