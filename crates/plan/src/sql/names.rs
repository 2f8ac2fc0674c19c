//! The names PostgreSQL chooses for constraints, indexes and sequences that the user does not name.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, IndexElem, MinMaxOp, SqlValueFunctionOp, SubLinkType};

use crate::catalog::Catalog;
use crate::sql::ast;
use crate::sql::ident::{Ident, MAX_BYTES, Name};

/// Chooses names in one schema. Remembers what it chose, for statements that make several objects.
#[derive(Debug)]
pub(crate) struct Namer<'a> {
    catalog: &'a Catalog,
    schema: Ident,
    relations: BTreeSet<Ident>,
    constraints: BTreeSet<Ident>,
}

impl<'a> Namer<'a> {
    /// For objects in this schema.
    pub(crate) fn new(catalog: &'a Catalog, schema: &Ident) -> Self {
        Self { catalog, schema: schema.clone(), relations: BTreeSet::new(), constraints: BTreeSet::new() }
    }

    /// Takes a constraint name that the user gave.
    pub(crate) fn take_constraint(&mut self, name: &Ident) {
        self.constraints.insert(name.clone());
    }

    /// Takes a relation name that the user gave.
    pub(crate) fn take_relation(&mut self, name: &Ident) {
        self.relations.insert(name.clone());
    }

    /// A constraint's name. Source: ChooseConstraintName in src/backend/catalog/pg_constraint.c.
    pub(crate) fn constraint(&mut self, table: &Ident, addition: Option<&str>, label: &str) -> Ident {
        let name = choose(table.as_str(), addition, label, |name| self.constraint_taken(name));
        self.constraints.insert(name.clone());
        name
    }

    /// A foreign key's name: all its columns are named. Source: ChooseForeignKeyConstraintNameAddition in tablecmds.c.
    pub(crate) fn foreign_key(&mut self, table: &Ident, columns: &[Ident]) -> Ident {
        let columns: Vec<String> = columns.iter().map(|column| column.as_str().to_owned()).collect();
        self.constraint(table, Some(&joined(&columns)), "fkey")
    }

    /// An index's name, also of one behind a constraint. `columns` are those of [`index_columns`].
    /// Source: ChooseIndexName in src/backend/commands/indexcmds.c.
    pub(crate) fn index(&mut self, table: &Ident, columns: &[String], sort: IndexSort) -> Ident {
        let addition = joined(columns);
        let (addition, label) = match sort {
            IndexSort::PrimaryKey => (None, "pkey"),
            IndexSort::Unique => (Some(addition.as_str()), "key"),
            IndexSort::Exclusion => (Some(addition.as_str()), "excl"),
            IndexSort::Plain => (Some(addition.as_str()), "idx"),
        };
        let name = choose(table.as_str(), addition, label, |name| {
            self.relation_taken(name) || (sort != IndexSort::Plain && self.constraint_taken(name))
        });
        self.relations.insert(name.clone());
        if sort != IndexSort::Plain {
            self.constraints.insert(name.clone());
        }
        name
    }

    /// The sequence of a serial or identity column. Source: generateSerialExtraStmts in parse_utilcmd.c.
    pub(crate) fn sequence(&mut self, table: &Ident, column: &Ident) -> Ident {
        let name = choose(table.as_str(), Some(column.as_str()), "seq", |name| self.relation_taken(name));
        self.relations.insert(name.clone());
        name
    }

    fn relation_taken(&self, name: &Ident) -> bool {
        self.relations.contains(name)
            || self.catalog.relation_name_taken(&Name { schema: self.schema.clone(), name: name.clone() })
    }

    fn constraint_taken(&self, name: &Ident) -> bool {
        self.constraints.contains(name)
            || self.catalog.relations.values().filter(|r| r.name.schema == self.schema).any(|relation| {
                relation.constraint(name).is_some()
                    || relation
                        .columns
                        .iter()
                        .any(|c| c.not_null.as_ref().is_some_and(|n| n.name.as_ref() == Some(name)))
            })
    }
}

/// What an index is for, which decides its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexSort {
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE constraint
    Unique,
    /// EXCLUDE
    Exclusion,
    /// CREATE INDEX
    Plain,
}

fn choose(name: &str, addition: Option<&str>, label: &str, taken: impl Fn(&Ident) -> bool) -> Ident {
    let first = Ident::new(object_name(name, addition, label));
    if !taken(&first) {
        return first;
    }
    (1_u32..)
        .map(|pass| Ident::new(object_name(name, addition, &format!("{label}{pass}"))))
        .find(|name| !taken(name))
        .unwrap_or(first)
}

/// `name_addition_label` in at most 63 bytes: the longer of the first two parts is cut.
/// Source: makeObjectName in src/backend/commands/indexcmds.c.
pub(crate) fn object_name(name: &str, addition: Option<&str>, label: &str) -> String {
    let overhead = usize::from(addition.is_some()) + 1 + label.len();
    let available = MAX_BYTES.saturating_sub(overhead);
    let mut first = name.len();
    let mut second = addition.map_or(0, str::len);
    while first + second > available {
        if first > second {
            first -= 1;
        } else {
            second -= 1;
        }
    }
    let first = clip(name, first);
    match addition {
        Some(addition) => format!("{first}_{}_{label}", clip(addition, second)),
        None => format!("{first}_{label}"),
    }
}

fn clip(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Column names joined by `_`, no more than fit. Source: ChooseIndexNameAddition in indexcmds.c.
fn joined(columns: &[String]) -> String {
    let mut text = String::new();
    for column in columns {
        if !text.is_empty() {
            text.push('_');
        }
        text.push_str(column);
        if text.len() > MAX_BYTES {
            break;
        }
    }
    text
}

/// The names an index gives its columns, INCLUDE ones too. Source: ChooseIndexColumnNames in indexcmds.c.
pub(crate) fn index_columns(elements: &[&IndexElem]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        let base = if !element.indexcolname.is_empty() {
            element.indexcolname.clone()
        } else if !element.name.is_empty() {
            element.name.clone()
        } else {
            ast::node(element.expr.as_deref())
                .and_then(figure)
                .map_or_else(|| "expr".to_owned(), |(name, _)| name)
        };
        let mut name = base.clone();
        let mut pass = 1;
        while names.contains(&name) {
            let number = pass.to_string();
            name = format!("{}{number}", clip(&base, MAX_BYTES - number.len()));
            pass += 1;
        }
        names.push(name);
    }
    names
}

/// The name of a query's column that has none written. Source: FigureColname in parse_target.c.
pub(crate) fn column_name(value: &NodeEnum) -> Ident {
    Ident::new(figure(value).map_or_else(|| "?column?".to_owned(), |(name, _)| name))
}

/// The name of an expression, and whether it is a good one. Source: FigureColnameInternal in parse_target.c.
fn figure(node: &NodeEnum) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_owned(), true));
    match node {
        NodeEnum::ColumnRef(column) => good(ast::strings(&column.fields).last()?),
        NodeEnum::AIndirection(indirection) => match ast::strings(&indirection.indirection).last() {
            Some(name) => good(name),
            None => ast::node(indirection.arg.as_deref()).and_then(figure),
        },
        NodeEnum::FuncCall(call) => good(ast::strings(&call.funcname).last()?),
        NodeEnum::AExpr(expr) if expr.kind() == AExprKind::AexprNullif => good("nullif"),
        NodeEnum::TypeCast(cast) => match ast::node(cast.arg.as_deref()).and_then(figure) {
            Some((name, true)) => Some((name, true)),
            weak => match cast.type_name.as_ref().and_then(|t| ast::strings(&t.names).last().copied()) {
                Some(name) => Some((name.to_owned(), false)),
                None => weak,
            },
        },
        NodeEnum::CollateClause(collate) => ast::node(collate.arg.as_deref()).and_then(figure),
        NodeEnum::CaseExpr(case) => match ast::node(case.defresult.as_deref()).and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        NodeEnum::AArrayExpr(_) => good("array"),
        NodeEnum::RowExpr(_) => good("row"),
        NodeEnum::CoalesceExpr(_) => good("coalesce"),
        NodeEnum::MinMaxExpr(expr) if expr.op() == MinMaxOp::IsGreatest => good("greatest"),
        NodeEnum::MinMaxExpr(_) => good("least"),
        NodeEnum::SqlvalueFunction(function) => good(value_function(function.op())?),
        NodeEnum::SubLink(link) if link.sub_link_type() == SubLinkType::ExistsSublink => good("exists"),
        NodeEnum::SubLink(link) if link.sub_link_type() == SubLinkType::ArraySublink => good("array"),
        _ => None,
    }
}

fn value_function(op: SqlValueFunctionOp) -> Option<&'static str> {
    Some(match op {
        SqlValueFunctionOp::SvfopCurrentDate => "current_date",
        SqlValueFunctionOp::SvfopCurrentTime | SqlValueFunctionOp::SvfopCurrentTimeN => "current_time",
        SqlValueFunctionOp::SvfopCurrentTimestamp | SqlValueFunctionOp::SvfopCurrentTimestampN => {
            "current_timestamp"
        }
        SqlValueFunctionOp::SvfopLocaltime | SqlValueFunctionOp::SvfopLocaltimeN => "localtime",
        SqlValueFunctionOp::SvfopLocaltimestamp | SqlValueFunctionOp::SvfopLocaltimestampN => {
            "localtimestamp"
        }
        SqlValueFunctionOp::SvfopCurrentRole => "current_role",
        SqlValueFunctionOp::SvfopCurrentUser => "current_user",
        SqlValueFunctionOp::SvfopUser => "user",
        SqlValueFunctionOp::SvfopSessionUser => "session_user",
        SqlValueFunctionOp::SvfopCurrentCatalog => "current_catalog",
        SqlValueFunctionOp::SvfopCurrentSchema => "current_schema",
        SqlValueFunctionOp::SqlvalueFunctionOpUndefined => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lower::tests::{catalog, folded};

    /// Statements whose generated names were read back from a server (15.18).
    const MEASURED: &str = r#"
        create table aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (id serial primary key, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb int unique check (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb > 0), short int check (short > 0 and id > 0));
        create table "ééééééééééééééééééééééééééééééé" ("üüüüüüüüüüüüüüüüüüüüüüüüüüü" int unique, "üüüüüüüüüüüüüüüüüüüüüüüüüüü2" int unique);
        create table t (a int, b text, c text, d timestamptz, t_a_idx int);
        create index on t (a);
        create index on t (a);
        create index on t (a, b);
        create index on t (lower(b));
        create index on t (lower(b), upper(c), lower(c));
        create index on t ((a + 1), (a || b), (b::int));
        create index on t (b) include (c, d);
        create index on t (a, a, a);
        create index on t (date_trunc('day', d at time zone 'utc'), (a is null), ((t.a)));
        create unique index on t (a) where b is not null;
        alter table t add unique (a, b);
        alter table t add unique (a, b);
        alter table t add check (a > 0), add check (a > 1), add check (a > 0 or length(b) > 1), add check (true);
        create table t_a_key (x int);
        alter table t add unique (a);
        create table f (a int, b text, primary key (a, b), unique (b) , foreign key (a, b) references f, unique (a, b), check (a > 0), check (b <> ''));
        alter table f add foreign key (a, b) references f (a, b);
        alter table f add constraint named unique (a, b), add foreign key (a, b) references f (a, b);
        create table s (id serial, id2 bigint generated always as identity, "Id" serial);
        create table g (a int primary key, b int constraint g_pkey2 unique, c int unique, unique (c), constraint x unique (c), exclude using btree (a with =, (b+1) with =));
        create index on g (xpath('/', '<a/>'::xml)) ;
        create index on g ((a is null), (a in (1,2)), (a between 1 and 2), (nullif(a, 1)), (not a > 1), (a::text collate "C"));
    "#;

    #[test]
    fn names_are_those_of_a_server() {
        let catalog = folded(MEASURED, &catalog(""));
        let of = |table: &str| {
            let relation = catalog.relation(&Name::new("public", table)).expect("exists");
            let indexes = relation.indexes.iter().map(|index| index.name.as_str().to_owned());
            let others = relation
                .constraints
                .iter()
                .filter(|c| relation.index(&c.name).is_none())
                .map(|c| c.name.as_str().to_owned());
            (indexes.collect::<Vec<_>>().join(" "), others.collect::<Vec<_>>().join(" "))
        };
        for (table, indexes, others) in [
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_pkey \
                 aaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbb_key",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbb_check \
                 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_check",
            ),
            (
                "ééééééééééééééééééééééééééééééé",
                "éééééééééééééé_üüüüüüüüüüüüüü_key éééééééééééééé_üüüüüüüüüüüüüü_key1",
                "",
            ),
            (
                "t",
                "t_a_idx t_a_idx1 t_a_b_idx t_lower_idx t_lower_upper_lower1_idx t_expr_expr1_b_idx t_b_c_d_idx \
                 t_a_a1_a2_idx t_date_trunc_expr_a_idx t_a_idx2 t_a_b_key t_a_b_key1 t_a_key1",
                "t_a_check t_a_check1 t_check t_check1",
            ),
            ("f", "f_pkey f_b_key named", "f_a_check f_b_check f_a_b_fkey f_a_b_fkey1 f_a_b_fkey2"),
            ("g", "g_pkey g_pkey2 x g_a_expr_excl g_xpath_idx g_expr_expr1_expr2_nullif_expr3_a_idx", ""),
        ] {
            assert_eq!(of(table), (indexes.to_owned(), others.to_owned()));
        }
        let sequences: Vec<&str> = catalog.sequences.keys().map(|name| name.name.as_str()).collect();
        let long = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_id_seq";
        assert_eq!(sequences, [long, "s_Id_seq", "s_id2_seq", "s_id_seq"]);
    }
}
