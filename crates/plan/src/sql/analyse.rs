//! What the planner must know about an expression: columns by position, functions, subqueries, NULL.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::a_const;
use serde_json::{Map, Value};

use crate::catalog::{Catalog, Relation};
use crate::sql::expr::{ColumnRef, Expr, FunctionRef, NullWhen, TimeRef};
use crate::sql::ident::Ident;
use crate::sql::tokens::{Kind, Tokens};
use crate::sql::{ast, nulls};

/// What names in an expression may refer to.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'a> {
    /// Everything.
    pub(crate) catalog: &'a Catalog,
    /// The statement's table, where it exists already.
    pub(crate) table: Option<&'a Relation>,
    /// Its schema, if written.
    pub(crate) schema: Option<Ident>,
    /// Its name, or the alias that hides it.
    pub(crate) alias: Ident,
    /// An alias is written.
    pub(crate) aliased: bool,
    /// Other tables stand beside it (FROM): an unqualified name that is no column of ours is theirs.
    pub(crate) joined: bool,
}

impl<'a> Scope<'a> {
    /// Over one table under its own name.
    pub(crate) fn table(catalog: &'a Catalog, table: Option<&'a Relation>, name: &Ident) -> Self {
        Self {
            catalog,
            table,
            schema: table.map(|t| t.name.schema.clone()),
            alias: name.clone(),
            aliased: false,
            joined: false,
        }
    }

    pub(crate) fn has_column(&self, column: &Ident) -> bool {
        self.table.is_some_and(|table| table.column(column).is_some())
    }

    fn refers(&self, fields: &[Option<String>]) -> Reference {
        let own = |qualifier: &str| self.alias.as_str() == qualifier;
        let whole_or = |rest: &Option<String>| match rest {
            Some(name) => Reference::Column(Ident::from(name.as_str())),
            None => Reference::Row,
        };
        match fields {
            [Some(name)] if own(name) && !self.has_column(&Ident::from(name.as_str())) => Reference::Row,
            [Some(name)] if self.joined && !self.has_column(&Ident::from(name.as_str())) => Reference::Other,
            [rest] => whole_or(rest),
            [Some(qualifier), rest] if own(qualifier) => whole_or(rest),
            [Some(schema), Some(qualifier), rest]
                if !self.aliased && own(qualifier) && self.is_schema(schema) =>
            {
                whole_or(rest)
            }
            _ => Reference::Other,
        }
    }

    fn is_schema(&self, schema: &str) -> bool {
        self.schema.as_ref().is_none_or(|own| own.as_str() == schema)
    }
}

enum Reference {
    Column(Ident),
    Row,
    Other,
}

/// Analyses an expression that stands at tokens `at`.
pub(crate) fn expr(tokens: &Tokens, at: Range<usize>, node: &NodeEnum, scope: &Scope) -> Expr {
    let bytes = tokens.bytes(at.start, at.end);
    let mut expr = Expr {
        text: tokens.text[bytes.clone()].to_owned(),
        null_when: nulls::null_when(node, scope),
        constant: constant(node),
        ..Expr::default()
    };
    ast::walk(node, &mut |kind, fields| visit(tokens, &bytes, scope, &mut expr, kind, fields));
    expr.columns.sort_by_key(|column| column.at.start);
    expr.columns.dedup();
    expr.times.sort_by_key(|time| time.at.start);
    expr.times.dedup();
    expr
}

fn visit(
    tokens: &Tokens,
    bytes: &Range<usize>,
    scope: &Scope,
    expr: &mut Expr,
    kind: &str,
    fields: &Map<String, Value>,
) -> bool {
    match kind {
        "ColumnRef" => {
            match scope.refers(&ast::name_parts(fields, "fields")) {
                Reference::Column(column) => {
                    let start = location(fields);
                    let token = tokens.at(start);
                    let end = tokens.bytes(token, tokens.after_name(token)).end;
                    if start >= bytes.start && end <= bytes.end {
                        let at = start - bytes.start..end - bytes.start;
                        expr.columns.push(ColumnRef { at, column });
                    }
                }
                Reference::Row => expr.whole_row = true,
                Reference::Other => {}
            }
            false
        }
        "FuncCall" => {
            function(tokens, bytes, expr, fields);
            true
        }
        "SqlvalueFunction" => {
            value_function(tokens, bytes, expr, fields);
            true
        }
        "SubLink" => {
            subquery(tokens, bytes, scope, expr, fields);
            // The left side of IN and ANY is outside.
            if let Some(test) = fields.get("testexpr") {
                ast::walk_value(test, &mut |kind, fields| visit(tokens, bytes, scope, expr, kind, fields));
            }
            false
        }
        _ => true,
    }
}

fn function(tokens: &Tokens, bytes: &Range<usize>, expr: &mut Expr, fields: &Map<String, Value>) {
    let parts: Vec<String> = ast::name_parts(fields, "funcname").into_iter().flatten().collect();
    let Some((name, qualifiers)) = parts.split_last() else { return };
    let function = FunctionRef {
        schema: qualifiers.last().map(|schema| Ident::from(schema.as_str())),
        name: Ident::from(name.as_str()),
    };
    if function.tells_time() {
        let first = tokens.at(location(fields));
        let close = tokens.close(tokens.after_name(first));
        time(expr, bytes, tokens.bytes(first, close + 1), "timestamptz".to_owned());
    }
    expr.functions.push(function);
}

/// `CURRENT_DATE`, `LOCALTIMESTAMP(3)`, `CURRENT_USER`.
fn value_function(tokens: &Tokens, bytes: &Range<usize>, expr: &mut Expr, fields: &Map<String, Value>) {
    expr.value_function = true;
    let first = tokens.at(location(fields));
    let data_type = match tokens.kind(first) {
        Kind::CurrentDate => "date",
        Kind::CurrentTime => "timetz",
        Kind::CurrentTimestamp => "timestamptz",
        Kind::Localtime => "time",
        Kind::Localtimestamp => "timestamp",
        _ => return,
    };
    // CURRENT_DATE takes no precision.
    if data_type != "date" && tokens.kind(first + 1) == Kind::Ascii40 {
        let close = tokens.close(first + 1);
        let precision = tokens.slice(first + 1, close + 1);
        time(expr, bytes, tokens.bytes(first, close + 1), format!("{data_type}{precision}"));
    } else {
        time(expr, bytes, tokens.bytes(first, first + 1), data_type.to_owned());
    }
}

fn time(expr: &mut Expr, bytes: &Range<usize>, at: Range<usize>, data_type: String) {
    if at.start >= bytes.start && at.end <= bytes.end {
        expr.times.push(TimeRef { at: at.start - bytes.start..at.end - bytes.start, data_type });
    }
}

/// Inside a subquery names mean its own tables first, so columns of the statement's table are not listed one by one:
/// whatever may be one counts as a use of the whole row.
fn subquery(
    tokens: &Tokens,
    bytes: &Range<usize>,
    scope: &Scope,
    expr: &mut Expr,
    fields: &Map<String, Value>,
) {
    expr.subquery = true;
    let Some(inner) = fields.get("subselect") else { return };
    let mut with = Vec::new();
    let mut reads = Vec::new();
    ast::walk_value(inner, &mut |kind, fields| {
        match kind {
            "ColumnRef" => match scope.refers(&ast::name_parts(fields, "fields")) {
                Reference::Column(column) if scope.table.is_none() || scope.has_column(&column) => {
                    expr.whole_row = true;
                }
                _ => {}
            },
            "FuncCall" => function(tokens, bytes, expr, fields),
            "SqlvalueFunction" => value_function(tokens, bytes, expr, fields),
            "CommonTableExpr" => with.push(Ident::from(ast::text(fields, "ctename"))),
            "RangeVar" => {
                let schema = ast::text(fields, "schemaname");
                let schema = (!schema.is_empty()).then(|| Ident::from(schema));
                reads.push((schema, Ident::from(ast::text(fields, "relname"))));
            }
            _ => {}
        }
        true
    });
    for (schema, name) in reads {
        if schema.is_none() && with.contains(&name) {
            continue;
        }
        if let Some(relation) = scope.catalog.resolve(schema.as_ref(), &name)
            && !expr.reads.contains(&relation.name)
        {
            expr.reads.push(relation.name.clone());
        }
    }
}

fn location(fields: &Map<String, Value>) -> usize {
    fields.get("location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok()).unwrap_or(0)
}

/// A literal, possibly cast, collated or with a sign.
pub(crate) fn constant(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::AConst(_) => true,
        NodeEnum::TypeCast(cast) => ast::node(cast.arg.as_deref()).is_some_and(constant),
        NodeEnum::CollateClause(collate) => ast::node(collate.arg.as_deref()).is_some_and(constant),
        NodeEnum::AExpr(expr) => {
            expr.lexpr.is_none()
                && matches!(ast::strings(&expr.name)[..], ["-" | "+"])
                && ast::node(expr.rexpr.as_deref()).is_some_and(constant)
        }
        _ => false,
    }
}

/// The literal NULL, possibly cast.
pub(crate) fn is_null(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::AConst(constant) => constant.isnull,
        NodeEnum::TypeCast(cast) => ast::node(cast.arg.as_deref()).is_some_and(is_null),
        NodeEnum::CollateClause(collate) => ast::node(collate.arg.as_deref()).is_some_and(is_null),
        _ => false,
    }
}

/// An integer literal's value.
pub(crate) fn integer(node: &NodeEnum) -> Option<i32> {
    match node {
        NodeEnum::AConst(constant) => match &constant.val {
            Some(a_const::Val::Ival(value)) => Some(value.ival),
            _ => None,
        },
        _ => None,
    }
}

impl Expr {
    /// Whether its result is certainly not NULL when the columns that `not_null` accepts are not.
    pub fn never_null(&self, not_null: impl Fn(&Ident) -> bool) -> bool {
        match &self.null_when {
            NullWhen::Never => true,
            NullWhen::AnyOf(columns) => columns.iter().all(not_null),
            NullWhen::Always | NullWhen::Unknown => false,
        }
    }

    /// Whether its result is certainly not NULL for rows of this table, by its NOT NULL columns.
    pub fn never_null_in(&self, table: &Relation) -> bool {
        self.never_null(|column| {
            table.column(column).is_some_and(|c| c.not_null.as_ref().is_some_and(|n| n.valid))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Function, Volatility};
    use crate::change::Change;
    use crate::sql::ident::Name;
    use crate::sql::lower::tests::{catalog, read_with};

    const DDL: &str = r#"
        CREATE TYPE mood AS ENUM ('sad');
        CREATE TABLE other (id int, x int);
        CREATE TABLE t (id int NOT NULL, a int, b text, c text NOT NULL, j jsonb, m mood, "T" int);
    "#;

    /// The expression as it stands in `UPDATE t AS <alias> SET b = …`.
    fn analysed(table: &str, text: &str) -> Expr {
        let mut catalog = catalog(DDL);
        let volatility = Volatility::Stable;
        let name = Name::new("public", "upper");
        catalog.functions.insert(Function::new(name, "t", volatility));
        let mut statements = read_with(&format!("UPDATE {table} SET b = {text}"), &catalog);
        let changes = statements.remove(0).changes.expect("is an update");
        let [Change::UpdateTable(update)] = changes.as_slice() else { panic!("not an update") };
        let expr = update.set[0].1.clone();
        assert_eq!(expr.text, text);
        expr
    }

    fn columns(table: &str, text: &str) -> Vec<String> {
        let expr = analysed(table, text);
        let whole = expr.whole_row.then(|| "*".to_owned());
        let at = expr.columns.iter().map(|c| format!("{}={}", &expr.text[c.at.clone()], c.column.as_str()));
        at.chain(whole).collect()
    }

    #[test]
    fn columns_are_found_by_position_and_alias() {
        assert_eq!(columns("t", "a || t.b || public.t.c"), ["a=a", "t.b=b", "public.t.c=c"]);
        assert_eq!(columns("t", "t . \"T\" /* a */ + A"), ["t . \"T\"=T", "A=a"]);
        assert_eq!(columns("t AS u", "u.a::text || 'a' || $$b$$ || c"), ["u.a=a", "c=c"]);
        // The alias hides the name.
        assert_eq!(columns("t AS u", "coalesce(b, u.c)"), ["b=b", "u.c=c"]);
        assert_eq!(columns("t", "(j -> 'a') #>> ARRAY[b]"), ["j=j", "b=b"]);
    }

    #[test]
    fn whole_rows_are_seen() {
        assert_eq!(columns("t", "to_jsonb(t)"), ["*"]);
        assert_eq!(columns("t AS u", "(u.*)::text"), ["*"]);
        assert_eq!(columns("t AS a", "a::text"), ["a=a"]);
        assert_eq!(columns("t", "(SELECT max(x) FROM other WHERE other.id = t.id)::text"), ["*"]);
        assert_eq!(columns("t", "(SELECT max(x) FROM other)::text"), [""; 0]);
        // An unqualified name in a subquery may be ours.
        assert_eq!(columns("t", "(SELECT max(x) FROM other WHERE a > 1)::text"), ["*"]);
    }

    #[test]
    fn functions_and_subqueries() {
        let expr = analysed(
            "t",
            "app.f(lower(b)) || (WITH w AS (SELECT g() AS v) SELECT v FROM w, other WHERE w.v IN (SELECT id FROM public.other))",
        );
        let functions: Vec<String> = expr
            .functions
            .iter()
            .map(|f| f.schema.iter().map(|s| format!("{s}.")).collect::<String>() + f.name.as_str())
            .collect();
        assert_eq!(functions, ["app.f", "lower", "g"]);
        assert!(expr.subquery && !expr.value_function && !expr.constant);
        assert_eq!(expr.reads, [Name::new("public", "other")]);
        assert!(analysed("t", "CURRENT_USER").value_function);
        for (text, constant) in [
            ("'x'::varchar(3) COLLATE \"C\"", true),
            ("-1.5", true),
            ("NULL", true),
            ("1 + 1", false),
            ("a", false),
        ] {
            assert_eq!(analysed("t", text).constant, constant, "{text}");
        }
    }

    #[test]
    fn when_it_is_null() {
        let any = |columns: &[&str]| NullWhen::AnyOf(columns.iter().map(|c| Ident::from(*c)).collect());
        for (text, expect) in [
            ("'x'", NullWhen::Never),
            ("NULL::text", NullWhen::Always),
            ("now()::text", NullWhen::Never),
            ("CURRENT_TIMESTAMP::text", NullWhen::Never),
            ("current_schema::text", NullWhen::Unknown),
            ("b", any(&["b"])),
            ("t.b", any(&["b"])),
            ("lower(b) || c", any(&["b", "c"])),
            ("pg_catalog.upper(b)", any(&["b"])),
            // A function of the user's own by that name may be meant.
            ("upper(b)", NullWhen::Unknown),
            ("b || NULL", NullWhen::Unknown),
            ("(a + 1)::text", any(&["a"])),
            ("m::text", NullWhen::Unknown),
            ("j::text", NullWhen::Unknown),
            ("j ->> 'x'", NullWhen::Unknown),
            ("coalesce(b, 'x')", NullWhen::Never),
            ("coalesce(b, c)", any(&["c"])),
            ("coalesce(b, f(b))", any(&["b"])),
            ("greatest(b, c)", any(&["c"])),
            ("nullif(b, '')", NullWhen::Unknown),
            ("CASE WHEN a > 1 THEN b ELSE c END", any(&["b", "c"])),
            ("CASE WHEN a > 1 THEN c END", NullWhen::Unknown),
            ("(a IS NULL)::text", NullWhen::Never),
            ("(a IS DISTINCT FROM 1)::text", NullWhen::Never),
            ("(a IN (1, id))::text", any(&["a", "id"])),
            ("(a BETWEEN 1 AND id)::text", any(&["a", "id"])),
            ("(EXISTS (SELECT 1))::text", NullWhen::Unknown),
            ("(SELECT 'x')", NullWhen::Unknown),
            ("concat(b, a)", NullWhen::Never),
            ("substring(b from 1 for 2)", any(&["b"])),
            ("substring(b from 'x')", NullWhen::Unknown),
            ("to_char(a, '')", NullWhen::Unknown),
            ("trim(both from b)", any(&["b"])),
            ("b COLLATE \"C\"", any(&["b"])),
        ] {
            assert_eq!(analysed("t", text).null_when, expect, "{text}");
        }
    }

    #[test]
    fn proofs_by_not_null_columns() {
        let catalog = catalog(DDL);
        let table = catalog.relation(&Name::new("public", "t")).expect("exists");
        assert!(analysed("t", "lower(c) || id").never_null_in(table));
        assert!(!analysed("t", "lower(c) || a").never_null_in(table));
        assert!(analysed("t", "coalesce(b, c)").never_null_in(table));
    }
}
