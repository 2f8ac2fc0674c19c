//! SQL in, changes out.

use crate::catalog::{Catalog, Relation};
use crate::change::{Change, Statement};
use crate::diagnostic::{Code, Diagnostic};
use crate::effect::fold;
use crate::kind::Ctx;
use crate::policy::Policy;
use crate::sql::directive::Directives;
use crate::sql::ident::{Ident, Name};
use crate::sql::read;

/// A catalog made by plain SQL, as if it had been there for years.
pub(crate) fn catalog(ddl: &str) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.server.version = crate::pg::version::Version(15_00_18);
    catalog.server.search_path = vec![Ident::new("public")];
    catalog.server.role = Ident::new("owner");
    catalog.schemas = ["public", "app"].map(Ident::new).into();
    catalog = folded(ddl, &catalog);
    for relation in catalog.relations.values_mut() {
        relation.new_here = false;
        relation.columns.iter_mut().for_each(|column| column.new_here = false);
    }
    catalog
}

/// The catalog after these statements, none of which may be refused.
pub(crate) fn folded(sql: &str, catalog: &Catalog) -> Catalog {
    let mut catalog = catalog.clone();
    let (policy, directives) = (Policy::default(), Directives::default());
    for statement in read(sql, &catalog.clone(), &policy).expect("is SQL") {
        for change in statement.changes.expect("is lowered") {
            let ctx = Ctx {
                logical: &catalog,
                physical: &catalog,
                policy: &policy,
                directives: &directives,
                migration: "",
            };
            let effects = change.kind().effects(&ctx);
            catalog = fold(&catalog, &effects);
        }
    }
    catalog
}

/// Lowers, with everything folded in between.
pub(crate) fn statements(ddl: &str, sql: &str) -> Vec<Statement> {
    read(sql, &catalog(ddl), &Policy::default()).expect("is SQL")
}

/// The changes of all statements, none of which may be refused.
pub(crate) fn changes(ddl: &str, sql: &str) -> Vec<Change> {
    statements(ddl, sql).into_iter().flat_map(|s| s.changes.expect("is lowered")).collect()
}

/// The only change.
pub(crate) fn change(ddl: &str, sql: &str) -> Change {
    let [change] = <[Change; 1]>::try_from(changes(ddl, sql)).expect("is one change");
    change
}

/// The refusal of the last statement.
pub(crate) fn refusal(ddl: &str, sql: &str) -> Diagnostic {
    let last = statements(ddl, sql).pop().expect("has a statement");
    last.changes.expect_err("is refused")
}

/// The relation after these statements.
pub(crate) fn relation(ddl: &str, sql: &str, name: &str) -> Relation {
    let name = Name::parse(name).expect("is a name");
    folded(sql, &catalog(ddl)).relation(&name).expect("exists").clone()
}

#[test]
fn several_subcommands_are_several_changes_in_order() {
    let ddl = "CREATE TABLE t (id bigint PRIMARY KEY, a int)";
    let names: Vec<&str> = changes(
        ddl,
        "ALTER TABLE t ADD CHECK (b > 0), ADD COLUMN b int NOT NULL DEFAULT 1 UNIQUE REFERENCES t, ALTER id SET NOT NULL, DROP COLUMN a",
    )
    .iter()
    .map(|change| change.kind().name())
    .collect();
    assert_eq!(
        names,
        ["drop_column", "add_column", "add_unique", "add_foreign_key", "add_check", "set_not_null"]
    );
}

#[test]
fn refusals_name_their_kind() {
    let refused = refusal("CREATE TABLE t (a int)", "ALTER TABLE t RENAME COLUMN a TO b");
    assert_eq!((refused.code, refused.kind.as_deref()), (Code::NotYet, Some("rename_column")));
    assert_eq!(relation("CREATE TABLE t (a int)", "", "public.t").columns.len(), 1);
    assert!(matches!(
        change("CREATE TABLE t (a int)", "ALTER TABLE t ALTER a SET DEFAULT 1"),
        Change::SetDefault(_)
    ));
}
