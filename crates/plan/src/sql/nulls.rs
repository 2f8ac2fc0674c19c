//! When an expression may be NULL, by its syntax and the functions PostgreSQL itself brings.

use pg_query::protobuf::{AExprKind, SqlValueFunctionOp, SubLinkType};
use pg_query::{Node, NodeEnum};

use crate::catalog::TypeKind;
use crate::sql::analyse::{Scope, integer, is_null};
use crate::sql::expr::NullWhen;
use crate::sql::ident::Ident;
use crate::sql::{ast, types};

/// See [`NullWhen`].
pub(crate) fn null_when(node: &NodeEnum, scope: &Scope) -> NullWhen {
    if is_null(node) {
        return NullWhen::Always;
    }
    match node {
        NodeEnum::AConst(_)
        | NodeEnum::NullTest(_)
        | NodeEnum::BooleanTest(_)
        | NodeEnum::AArrayExpr(_)
        | NodeEnum::RowExpr(_) => NullWhen::Never,
        NodeEnum::ColumnRef(column) => match ast::strings(&column.fields)[..] {
            // Of a table that is not ours only the last part would be a column's name.
            [name] if scope.joined && !scope.has_column(&Ident::from(name)) => NullWhen::Unknown,
            [.., name] if column.fields.len() == 1 || qualified_by(scope, &column.fields) => {
                NullWhen::AnyOf(vec![Ident::from(name)])
            }
            _ => NullWhen::Unknown,
        },
        NodeEnum::TypeCast(cast) => {
            let (Some(arg), Some(name)) = (ast::node(cast.arg.as_deref()), &cast.type_name) else {
                return NullWhen::Unknown;
            };
            if may_become_null(arg, scope) || !keeps_values(name, scope) {
                return NullWhen::Unknown;
            }
            null_when(arg, scope)
        }
        NodeEnum::CollateClause(collate) => of(collate.arg.as_deref(), scope),
        NodeEnum::BoolExpr(expr) => all_of(&expr.args, scope),
        NodeEnum::AExpr(expr) => match expr.kind() {
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => NullWhen::Never,
            AExprKind::AexprOp => match ast::strings(&expr.name)[..] {
                [name] | ["pg_catalog", name] if STRICT_OPERATORS.contains(&name) => {
                    let left = expr.lexpr.as_deref().map(|left| of(Some(left), scope));
                    join(left.into_iter().chain([of(expr.rexpr.as_deref(), scope)]))
                }
                _ => NullWhen::Unknown,
            },
            AExprKind::AexprLike | AExprKind::AexprIlike => {
                join([of(expr.lexpr.as_deref(), scope), of(expr.rexpr.as_deref(), scope)])
            }
            AExprKind::AexprIn
            | AExprKind::AexprBetween
            | AExprKind::AexprNotBetween
            | AExprKind::AexprBetweenSym
            | AExprKind::AexprNotBetweenSym => match ast::node(expr.rexpr.as_deref()) {
                Some(NodeEnum::List(list)) => {
                    join([of(expr.lexpr.as_deref(), scope), all_of(&list.items, scope)])
                }
                _ => NullWhen::Unknown,
            },
            _ => NullWhen::Unknown,
        },
        // NULL only if every argument is: one that is surely not decides.
        NodeEnum::CoalesceExpr(expr) => any_of(&expr.args, scope),
        NodeEnum::MinMaxExpr(expr) => any_of(&expr.args, scope),
        NodeEnum::CaseExpr(case) => {
            let Some(default) = ast::node(case.defresult.as_deref()) else { return NullWhen::Unknown };
            let results = ast::each(&case.args).map(|when| match when {
                NodeEnum::CaseWhen(when) => of(when.result.as_deref(), scope),
                _ => NullWhen::Unknown,
            });
            join(results.chain([null_when(default, scope)]))
        }
        NodeEnum::SqlvalueFunction(function) if function.op() == SqlValueFunctionOp::SvfopCurrentSchema => {
            NullWhen::Unknown
        }
        NodeEnum::SqlvalueFunction(_) => NullWhen::Never,
        NodeEnum::SubLink(link)
            if matches!(link.sub_link_type(), SubLinkType::ExistsSublink | SubLinkType::ArraySublink) =>
        {
            NullWhen::Never
        }
        NodeEnum::FuncCall(call) => {
            let own = match ast::strings(&call.funcname)[..] {
                [name] if !user_function(scope, name) => name,
                ["pg_catalog", name] => name,
                _ => return NullWhen::Unknown,
            };
            if call.over.is_some() || call.agg_filter.is_some() || call.func_variadic || call.agg_star {
                return NullWhen::Unknown;
            }
            if NEVER_NULL.binary_search(&own).is_ok() {
                NullWhen::Never
            } else if STRICT.binary_search(&own).is_ok()
                || (own == "substring" && substring_by_position(&call.args))
            {
                all_of(&call.args, scope)
            } else {
                NullWhen::Unknown
            }
        }
        _ => NullWhen::Unknown,
    }
}

fn of(node: Option<&Node>, scope: &Scope) -> NullWhen {
    ast::node(node).map_or(NullWhen::Unknown, |node| null_when(node, scope))
}

fn all_of(args: &[Node], scope: &Scope) -> NullWhen {
    join(ast::each(args).map(|arg| null_when(arg, scope)))
}

/// NULL when any of these is.
fn join(parts: impl IntoIterator<Item = NullWhen>) -> NullWhen {
    let mut columns: Vec<Ident> = Vec::new();
    let mut always = false;
    for part in parts {
        match part {
            NullWhen::Never => {}
            // A result that is "always NULL" in one branch may be NULL.
            NullWhen::Always => always = true,
            NullWhen::AnyOf(more) => {
                for column in more {
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                }
            }
            NullWhen::Unknown => return NullWhen::Unknown,
        }
    }
    match (always, columns.is_empty()) {
        (true, _) => NullWhen::Unknown,
        (false, true) => NullWhen::Never,
        (false, false) => NullWhen::AnyOf(columns),
    }
}

/// NULL only when all of these are: the best one counts.
fn any_of(args: &[Node], scope: &Scope) -> NullWhen {
    let mut best = NullWhen::Always;
    for part in ast::each(args).map(|arg| null_when(arg, scope)) {
        let better = match (&part, &best) {
            (NullWhen::Never, _) => return NullWhen::Never,
            (NullWhen::AnyOf(_), NullWhen::Always | NullWhen::Unknown) => true,
            (NullWhen::AnyOf(columns), NullWhen::AnyOf(known)) => {
                nullable(columns, scope) < nullable(known, scope)
            }
            (NullWhen::Unknown, NullWhen::Always) => true,
            _ => false,
        };
        if better {
            best = part;
        }
    }
    best
}

fn nullable(columns: &[Ident], scope: &Scope) -> usize {
    let Some(table) = scope.table else { return columns.len() };
    columns.iter().filter(|name| table.column(name).is_none_or(|column| column.not_null.is_none())).count()
}

fn qualified_by(scope: &Scope, fields: &[Node]) -> bool {
    match ast::strings(fields)[..] {
        [.., qualifier, _] => scope.alias.as_str() == qualifier,
        _ => false,
    }
}

fn user_function(scope: &Scope, name: &str) -> bool {
    scope.catalog.functions.iter().any(|function| function.name.name.as_str() == name)
}

/// Casts from jsonb and from users' types may turn a value into NULL (18: jsonb `null` to a scalar).
/// Source: release notes 18, "Allow jsonb null values to be cast to scalar types as NULL".
fn may_become_null(arg: &NodeEnum, scope: &Scope) -> bool {
    match arg {
        NodeEnum::ColumnRef(column) => {
            let name = ast::strings(&column.fields).last().map(|name| Ident::from(*name));
            let known = name.and_then(|name| scope.table?.column(&name).map(|c| c.data_type.clone()));
            known.is_none_or(|data_type| {
                matches!(data_type.as_str(), "json" | "jsonb")
                    || !matches!(
                        data_type.split(['(', '[', ' ']).next(),
                        Some(
                            "integer"
                                | "bigint"
                                | "smallint"
                                | "numeric"
                                | "real"
                                | "double"
                                | "text"
                                | "character"
                                | "boolean"
                                | "date"
                                | "time"
                                | "timestamp"
                                | "interval"
                                | "uuid"
                                | "bytea"
                                | "inet"
                                | "cidr"
                                | "citext"
                                | "name"
                                | "oid"
                        )
                    )
            })
        }
        NodeEnum::AConst(_) => false,
        NodeEnum::TypeCast(cast) => {
            cast.type_name.as_ref().is_none_or(
                |name| !matches!(types::builtin(name), Some(base) if !matches!(base, "json" | "jsonb")),
            ) || ast::node(cast.arg.as_deref()).is_none_or(|arg| may_become_null(arg, scope))
        }
        NodeEnum::FuncCall(call) => {
            ast::strings(&call.funcname).last().is_none_or(|name| name.contains("json"))
        }
        // A boolean.
        NodeEnum::AExpr(expr)
            if !matches!(expr.kind(), AExprKind::AexprOp | AExprKind::AexprNullif)
                || matches!(ast::strings(&expr.name)[..], ["=" | "<>" | "<" | ">" | "<=" | ">="]) =>
        {
            false
        }
        NodeEnum::AExpr(expr) => [expr.lexpr.as_deref(), expr.rexpr.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(|side| ast::node(Some(side)))
            .any(|side| may_become_null(side, scope)),
        NodeEnum::SqlvalueFunction(_) | NodeEnum::NullTest(_) | NodeEnum::BoolExpr(_) => false,
        _ => true,
    }
}

/// A cast to PostgreSQL's own types, to enums and to domains keeps what is not NULL.
fn keeps_values(name: &pg_query::protobuf::TypeName, scope: &Scope) -> bool {
    types::builtin(name).is_some()
        || types::user_type(name, scope.catalog)
            .and_then(|name| scope.catalog.types.get(&name))
            .is_some_and(|user| matches!(user.kind, TypeKind::Enum(_) | TypeKind::Domain { .. }))
}

/// `substring(text, pattern)` may be NULL, `substring(text, from, for)` not.
fn substring_by_position(args: &[Node]) -> bool {
    ast::each(args).nth(1).is_some_and(|second| integer(second).is_some())
}

/// Operators that are strict and never NULL for arguments that are not, in every overload PostgreSQL brings.
/// Source: pg_operator.dat with pg_proc.dat; `#`, `->` and the like are left out because some overloads may be NULL.
const STRICT_OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "||", "=", "<>", "!=", "<", ">", "<=", ">=", "~", "~*", "!~", "!~*", "&",
    "|",
];

/// Functions that never return NULL, whatever their arguments. Source: pg_proc.dat.
const NEVER_NULL: &[&str] = &[
    "clock_timestamp",
    "concat",
    "current_database",
    "gen_random_uuid",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "localtimestamp",
    "nextval",
    "now",
    "num_nonnulls",
    "num_nulls",
    "pg_current_xact_id",
    "pi",
    "quote_nullable",
    "random",
    "statement_timestamp",
    "timeofday",
    "transaction_timestamp",
    "txid_current",
    "uuidv4",
    "uuidv7",
    "version",
];

/// Functions that return NULL exactly when an argument is NULL, in every overload. Source: pg_proc.dat (`proisstrict`) and
/// their C sources; those that may return NULL for other arguments (`to_char` with an empty format, `extract` of infinity,
/// `substring` by pattern, `array_length`) are left out.
const STRICT: &[&str] = &[
    "abs",
    "acos",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "bit_length",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "convert_from",
    "convert_to",
    "cos",
    "date_trunc",
    "decode",
    "degrees",
    "div",
    "encode",
    "exp",
    "floor",
    "gcd",
    "hashtext",
    "initcap",
    "lcm",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "mod",
    "octet_length",
    "overlay",
    "position",
    "pow",
    "power",
    "quote_ident",
    "quote_literal",
    "radians",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "tan",
    "timezone",
    "to_hex",
    "to_json",
    "to_jsonb",
    "translate",
    "trunc",
    "upper",
    "width_bucket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(NEVER_NULL.is_sorted());
        assert!(STRICT.is_sorted());
    }
}
