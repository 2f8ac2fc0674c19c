//! Whether an expression's text is a literal.

use pg_query::NodeEnum;

use crate::sql::{analyse, ast, parse};

/// What a text without context evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// NULL, possibly cast.
    Null,
    /// A literal, possibly cast or with a sign.
    Value,
    /// Anything else.
    No,
}

/// Reads an expression, as written or from `pg_get_expr`.
pub(crate) fn read(expr: &str) -> Constant {
    let text = format!("SELECT {expr}");
    parse::deep(|| {
        let Ok((statements, _)) = parse::parse(&text) else { return Constant::No };
        let [statement] = statements.as_slice() else { return Constant::No };
        let NodeEnum::SelectStmt(select) = &statement.node else { return Constant::No };
        let [target] = select.target_list.as_slice() else { return Constant::No };
        let Some(NodeEnum::ResTarget(target)) = &target.node else { return Constant::No };
        match ast::node(target.val.as_deref()) {
            Some(node) if analyse::is_null(node) => Constant::Null,
            Some(node) if analyse::constant(node) => Constant::Value,
            _ => Constant::No,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Constant, read};

    #[test]
    fn literals_and_others() {
        for (text, expected) in [
            ("'new'::text", Constant::Value),
            ("-1", Constant::Value),
            ("true", Constant::Value),
            ("NULL::character varying", Constant::Null),
            ("now()", Constant::No),
            ("nextval('s'::regclass)", Constant::No),
            ("1, 2", Constant::No),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
