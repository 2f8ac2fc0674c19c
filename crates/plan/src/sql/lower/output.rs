//! The columns that a query returns, as far as syntax and catalog show them.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, RangeVar, SelectStmt, SetOperation, SubLinkType, WithClause, a_const};

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
        columns.push((name, type_of(catalog, value, tables.as_deref().unwrap_or_default())));
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

fn type_of(catalog: &Catalog, value: &NodeEnum, tables: &[Source]) -> String {
    known_type(catalog, value, tables).unwrap_or_else(|| "unknown".to_owned())
}

/// The type of an expression where PostgreSQL could not choose another.
fn known_type(catalog: &Catalog, value: &NodeEnum, tables: &[Source]) -> Option<String> {
    let of = |node: Option<&pg_query::Node>| known_type(catalog, ast::node(node)?, tables);
    let plain = |name: &str| Some(name.to_owned());
    match value {
        NodeEnum::ColumnRef(reference) => {
            let (qualifier, name) = ast::qualified(&reference.fields);
            tables
                .iter()
                .filter(|source| qualifier.is_none() || source.name == qualifier)
                .flat_map(|source| source.columns.iter().flatten())
                .find(|(column, _)| *column == name)
                .map(|(_, data_type)| data_type.clone())
        }
        NodeEnum::TypeCast(cast) => cast.type_name.as_ref().map(|name| types::text(name, "unknown", catalog)),
        NodeEnum::AConst(constant) => match &constant.val {
            Some(a_const::Val::Ival(_)) => plain("integer"),
            Some(a_const::Val::Boolval(_)) => plain("boolean"),
            Some(a_const::Val::Sval(_)) => plain("text"),
            Some(a_const::Val::Fval(number)) if number.fval.contains(['.', 'e', 'E']) => plain("numeric"),
            _ => None,
        },
        NodeEnum::NullTest(_) | NodeEnum::BooleanTest(_) | NodeEnum::BoolExpr(_) => plain("boolean"),
        NodeEnum::SubLink(link) if link.sub_link_type() == SubLinkType::ExistsSublink => plain("boolean"),
        NodeEnum::AExpr(expr) => match (expr.kind(), ast::strings(&expr.name).last().copied()) {
            (
                AExprKind::AexprOp,
                Some("=" | "<>" | "!=" | "<" | ">" | "<=" | ">=" | "~" | "~*" | "!~" | "!~*"),
            ) => plain("boolean"),
            (AExprKind::AexprOp, Some("+" | "-" | "*" | "/" | "%")) => {
                let (left, right) = (of(expr.lexpr.as_deref())?, of(expr.rexpr.as_deref())?);
                let same = matches!(left.as_str(), "integer" | "bigint" | "double precision" | "numeric");
                (same && left == right).then_some(left)
            }
            (AExprKind::AexprOp | AExprKind::AexprNullif | AExprKind::Undefined, _) => None,
            _ => plain("boolean"),
        },
        NodeEnum::CoalesceExpr(expr) => {
            let mut all = ast::each(&expr.args).map(|arg| known_type(catalog, arg, tables));
            let first = all.next()??;
            all.all(|other| other.is_some_and(|other| other == first)).then_some(first)
        }
        NodeEnum::FuncCall(call) => {
            let name = ast::strings(&call.funcname).last().copied()?;
            match name {
                "count" | "row_number" | "rank" | "dense_rank" => plain("bigint"),
                "now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp" => {
                    plain("timestamp with time zone")
                }
                "lower" | "upper" | "concat" | "md5" | "btrim" | "ltrim" | "rtrim" | "string_agg" => {
                    (name != "string_agg" || of(call.args.first()).as_deref() == Some("text"))
                        .then(|| "text".to_owned())
                }
                "length" | "char_length" => plain("integer"),
                "bool_and" | "bool_or" | "every" => plain("boolean"),
                "min" | "max" => of(call.args.first()).filter(|name| name != "unknown"),
                "sum" => match of(call.args.first())?.as_str() {
                    "smallint" | "integer" => plain("bigint"),
                    "bigint" | "numeric" => plain("numeric"),
                    _ => None,
                },
                "gen_random_uuid" => plain("uuid"),
                _ => None,
            }
        }
        _ => None,
    }
}
