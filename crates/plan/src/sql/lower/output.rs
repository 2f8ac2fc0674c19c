//! The columns that a query returns, as far as syntax and catalog show them.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::{RangeVar, SelectStmt, SetOperation, WithClause};

use crate::catalog::Catalog;
use crate::sql::ident::Ident;
use crate::sql::{ast, names, types};

/// A column with its type; the type is `unknown` where it is not plain to see.
pub(crate) type Output = (Ident, String);

/// Tables of WITH.
type With = BTreeMap<Ident, Option<Vec<Output>>>;

/// The columns of a query; `None` where even their names are not plain to see.
pub(crate) fn columns(catalog: &Catalog, query: &NodeEnum) -> Option<Vec<Output>> {
    match query {
        NodeEnum::SelectStmt(select) => of_select(catalog, select, &With::new()),
        _ => None,
    }
}

fn of_select(catalog: &Catalog, select: &SelectStmt, outer: &With) -> Option<Vec<Output>> {
    let mut with = outer.clone();
    if let Some(clause) = &select.with_clause {
        add_with(catalog, clause, &mut with);
    }
    if select.op() != SetOperation::SetopNone && select.op() != SetOperation::Undefined {
        return of_select(catalog, select.larg.as_deref()?, &with);
    }
    if let Some(NodeEnum::List(row)) = ast::node(select.values_lists.first()) {
        let name = |n: usize| (Ident::new(format!("column{n}")), "unknown".to_owned());
        return Some((1..=row.items.len()).map(name).collect());
    }
    let tables: Option<Vec<Vec<Source>>> =
        ast::each(&select.from_clause).map(|from| sources(catalog, from, &with)).collect();
    let tables: Option<Vec<Source>> = tables.map(|tables| tables.into_iter().flatten().collect());
    let mut columns = Vec::new();
    for target in ast::each(&select.target_list) {
        let NodeEnum::ResTarget(target) = target else { return None };
        let value = ast::node(target.val.as_deref())?;
        if let NodeEnum::ColumnRef(reference) = value
            && matches!(ast::node(reference.fields.last()), Some(NodeEnum::AStar(_)))
        {
            let qualifier = ast::strings(&reference.fields).last().map(|name| Ident::from(*name));
            for source in tables.as_ref()? {
                if qualifier.as_ref().is_none_or(|name| source.name.as_ref() == Some(name)) {
                    columns.extend(source.columns.clone()?);
                }
            }
            continue;
        }
        let name = match target.name.as_str() {
            "" => names::column_name(value),
            name => Ident::from(name),
        };
        columns.push((name, type_of(value, tables.as_deref().unwrap_or_default())));
    }
    Some(columns)
}

fn add_with(catalog: &Catalog, clause: &WithClause, with: &mut With) {
    for query in ast::each(&clause.ctes) {
        let NodeEnum::CommonTableExpr(query) = query else { continue };
        let columns = match ast::node(query.ctequery.as_deref()) {
            Some(NodeEnum::SelectStmt(select)) => of_select(catalog, select, with),
            _ => None,
        };
        let columns = renamed(columns, &ast::idents(&query.aliascolnames));
        with.insert(Ident::from(query.ctename.as_str()), columns);
    }
}

/// Something in FROM.
#[derive(Clone, Debug)]
struct Source {
    name: Option<Ident>,
    columns: Option<Vec<Output>>,
}

fn sources(catalog: &Catalog, from: &NodeEnum, with: &With) -> Option<Vec<Source>> {
    match from {
        NodeEnum::RangeVar(var) => Some(vec![table(catalog, var, with)]),
        NodeEnum::RangeSubselect(subselect) => {
            let columns = match ast::node(subselect.subquery.as_deref()) {
                Some(NodeEnum::SelectStmt(select)) => of_select(catalog, select, with),
                _ => None,
            };
            let alias = subselect.alias.as_ref();
            let names = alias.map(|alias| ast::idents(&alias.colnames)).unwrap_or_default();
            let name = alias.map(|alias| Ident::from(alias.aliasname.as_str()));
            Some(vec![Source { name, columns: renamed(columns, &names) }])
        }
        // USING and NATURAL merge columns, whose order then is another.
        NodeEnum::JoinExpr(join) if join.using_clause.is_empty() && !join.is_natural => {
            let mut left = sources(catalog, ast::node(join.larg.as_deref())?, with)?;
            left.extend(sources(catalog, ast::node(join.rarg.as_deref())?, with)?);
            Some(left)
        }
        _ => None,
    }
}

fn table(catalog: &Catalog, var: &RangeVar, with: &With) -> Source {
    let (schema, name) = ast::table_name(var);
    let alias = var.alias.as_ref();
    let columns = match (schema.is_none(), with.get(&name)) {
        (true, Some(columns)) => columns.clone(),
        _ => catalog.resolve(schema.as_ref(), &name).map(|table| {
            table.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
        }),
    };
    let names = alias.map(|alias| ast::idents(&alias.colnames)).unwrap_or_default();
    let name = alias.map_or(name, |alias| Ident::from(alias.aliasname.as_str()));
    Source { name: Some(name), columns: renamed(columns, &names) }
}

/// The columns under the names of an alias list, which may be shorter.
pub(crate) fn renamed(columns: Option<Vec<Output>>, names: &[Ident]) -> Option<Vec<Output>> {
    let mut columns = columns?;
    for (column, name) in columns.iter_mut().zip(names) {
        column.0 = name.clone();
    }
    Some(columns)
}

fn type_of(value: &NodeEnum, tables: &[Source]) -> String {
    let found = match value {
        NodeEnum::ColumnRef(reference) => {
            let (qualifier, name) = ast::qualified(&reference.fields);
            tables
                .iter()
                .filter(|source| qualifier.is_none() || source.name == qualifier)
                .flat_map(|source| source.columns.iter().flatten())
                .find(|(column, _)| *column == name)
                .map(|(_, data_type)| data_type.clone())
        }
        NodeEnum::TypeCast(cast) => cast.type_name.as_ref().map(|name| types::text(name, "unknown")),
        _ => None,
    };
    found.unwrap_or_else(|| "unknown".to_owned())
}
