//! For the tests of kinds: catalogs made from SQL, and what must hold of every plan.

use crate::catalog::{Catalog, Relation, Server, Volatility};
use crate::effect::fold;
use crate::kind::Ctx;
use crate::pg::version::Version;
use crate::plan::{Facts, Plan, Undo};
use crate::policy::Policy;
use crate::sql::ident::{Ident, Name};
use crate::{Source, combine, sql};

/// PostgreSQL 15, on which the tables of `schema` exist with a thousand rows each.
pub(crate) fn catalog(schema: &str) -> Catalog {
    catalog_on(15, schema)
}

/// The same on another major version.
pub(crate) fn catalog_on(major: u32, schema: &str) -> Catalog {
    let empty = Catalog {
        server: Server {
            version: Version(major * 10_000),
            search_path: vec![Ident::new("public")],
            role: Ident::new("owner"),
            may_skip_triggers: true,
        },
        schemas: [Ident::new("public")].into(),
        builtin_volatility: [
            ("now", Volatility::Stable),
            ("random", Volatility::Volatile),
            ("lower", Volatility::Immutable),
            ("length", Volatility::Immutable),
        ]
        .map(|(name, volatility)| (Ident::new(name), volatility))
        .into(),
        ..Catalog::default()
    };
    let mut catalog = as_written(&empty, schema);
    for (at, relation) in catalog.relations.values_mut().enumerate() {
        relation.new_here = false;
        relation.oid = 16384 + u32::try_from(at).expect("few relations");
        relation.rows = 1000;
        relation.bytes = 1 << 20;
        for column in &mut relation.columns {
            column.new_here = false;
        }
    }
    catalog
}

/// The catalog after the statements as written.
pub(crate) fn as_written(catalog: &Catalog, text: &str) -> Catalog {
    walk(catalog, text).0
}

/// What the statements do as written.
pub(crate) fn facts(catalog: &Catalog, text: &str) -> Vec<Facts> {
    walk(catalog, text).1
}

fn walk(catalog: &Catalog, text: &str) -> (Catalog, Vec<Facts>) {
    let policy = Policy::default();
    let statements = sql::read(text, catalog, &policy).expect("the SQL is readable");
    let mut logical = catalog.clone();
    let mut facts = Vec::new();
    for statement in combine::combine(statements) {
        let absorbed = statement.absorbed.iter().filter(|change| change.takes_effect_here());
        let changes = statement.changes.as_ref().expect("the statement is known");
        for (own, change) in absorbed.map(|change| (false, change)).chain(changes.iter().map(|it| (true, it)))
        {
            let ctx = Ctx {
                logical: &logical,
                physical: catalog,
                policy: &policy,
                directives: &statement.directives,
                migration: "0001_test",
            };
            if own {
                facts.push(change.kind().facts(&ctx));
            }
            let effects = change.kind().effects(&ctx);
            logical = fold(&logical, &effects);
        }
    }
    (logical, facts)
}

/// The plan. Whatever the kind, folding its steps gives what the statements as written give, and taking back its first steps,
/// however many, gives the catalog back.
pub(crate) fn plan(catalog: &Catalog, text: &str) -> Plan {
    let source = Source { name: "0001_test", text };
    let plan = crate::plan(source, catalog, catalog, &Policy::default()).expect("it is planned");
    let folded = fold(catalog, plan.steps.iter().flat_map(|step| &step.provides));
    assert_eq!(
        normal(&folded),
        normal(&as_written(catalog, text)),
        "steps and statements give the same catalog"
    );
    undoes(catalog, &plan);
    plan
}

fn undoes(catalog: &Catalog, plan: &Plan) {
    let lasting = plan.steps.iter().position(|step| matches!(step.undo, Undo::Impossible { .. }));
    for upto in 0..=lasting.unwrap_or(plan.steps.len()) {
        let mut found = fold(catalog, plan.steps[..upto].iter().flat_map(|step| &step.provides));
        for step in plan.steps[..upto].iter().rev() {
            if let Undo::Steps { steps, .. } = &step.undo {
                found = fold(&found, steps.iter().flat_map(|step| &step.provides));
            }
        }
        assert_eq!(normal(&found), normal(catalog), "undone after {upto} steps");
    }
}

/// A relation without what no statement decides: order, text of definitions.
fn normal(catalog: &Catalog) -> Vec<(Name, Relation)> {
    let mut catalog = catalog.clone();
    for relation in catalog.relations.values_mut() {
        relation.new_here = false;
        relation.partitions.sort();
        relation.policies.sort_by(|a, b| a.name.cmp(&b.name));
        relation.policies.iter_mut().for_each(|policy| policy.anew.clear());
        relation.columns.sort_by(|a, b| a.name.cmp(&b.name));
        for column in &mut relation.columns {
            column.new_here = false;
        }
        relation.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        for constraint in &mut relation.constraints {
            constraint.definition.clear();
        }
        relation.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        for index in &mut relation.indexes {
            index.definition.clear();
        }
    }
    catalog.relations.into_iter().collect()
}
