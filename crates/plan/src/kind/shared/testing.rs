//! Small catalogs and one way to plan over them, for the tests of kinds.

use std::fmt::Write as _;

use crate::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Extras, Index, NotNull, Relation, RelationKind, Volatility,
};
use crate::diagnostic::Code;
use crate::effect::fold;
use crate::pg::version::Version;
use crate::plan::{Action, Plan, Undo, Walk, Write};
use crate::policy::Policy;
use crate::sql::ident::{Ident, Name};
use crate::{Source, plan};

/// PostgreSQL 15 with schema `public` and these tables.
pub(crate) fn catalog(tables: impl IntoIterator<Item = Relation>) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.server.version = Version(150_018);
    catalog.server.search_path = vec![Ident::new("public")];
    catalog.server.role = Ident::new("owner");
    catalog.server.may_skip_triggers = true;
    catalog.schemas.insert(Ident::new("public"));
    for table in tables {
        if let Some(parent) = table.partition_of.as_ref().and_then(|name| catalog.relations.get_mut(name)) {
            parent.partitions.push(table.name.clone());
        }
        catalog.relations.insert(table.name.clone(), table);
    }
    for (name, volatility) in [
        ("lower", Volatility::Immutable),
        ("upper", Volatility::Immutable),
        ("split_part", Volatility::Immutable),
        ("max", Volatility::Immutable),
        ("now", Volatility::Stable),
        ("to_char", Volatility::Stable),
        ("current_setting", Volatility::Stable),
        ("random", Volatility::Volatile),
        ("gen_random_uuid", Volatility::Volatile),
        ("nextval", Volatility::Volatile),
    ] {
        catalog.builtin_volatility.insert(Ident::new(name), volatility);
    }
    catalog
}

/// The same on another version. From 18 on NOT NULL has a name.
pub(crate) fn on(mut catalog: Catalog, major: u32) -> Catalog {
    catalog.server.version = Version(major * 10_000 + 1);
    if catalog.server.version.not_null_not_valid() {
        for relation in catalog.relations.values_mut() {
            for column in &mut relation.columns {
                if let Some(marking) = &mut column.not_null {
                    marking.name = Some(Ident::new(format!("{}_not_null", column.name.as_str())));
                }
            }
        }
    }
    catalog
}

/// A table with rows; the first column is its primary key, `!` behind a type says NOT NULL.
pub(crate) fn table(name: &str, columns: &[(&str, &str)]) -> Relation {
    let name = Name::new("public", name);
    let mut table = Relation::new(name, RelationKind::Table, Ident::new("owner"));
    table.new_here = false;
    table.oid = 16_384;
    table.rows = 1000;
    table.bytes = 8192 * 10;
    table.columns = columns.iter().map(|(name, data_type)| column(name, data_type)).collect();
    if let Some(first) = table.columns.first_mut() {
        first.not_null = Some(NotNull { name: None, valid: true });
        let key = first.name.clone();
        let name = Ident::new(format!("{}_pkey", table.name.name.as_str()));
        table.constraints.push(Constraint {
            name: name.clone(),
            kind: ConstraintKind::PrimaryKey,
            columns: vec![key.clone()],
            definition: format!("PRIMARY KEY ({key})"),
            validated: true,
            deferrable: false,
            inherited: false,
        });
        table.indexes.push(index(&table.name, name.as_str(), &key));
    }
    table
}

/// A column; `!` behind the type says NOT NULL.
pub(crate) fn column(name: &str, data_type: &str) -> Column {
    let not_null = data_type.ends_with('!').then_some(NotNull { name: None, valid: true });
    Column {
        name: Ident::new(name),
        data_type: data_type.trim_end_matches('!').to_owned(),
        not_null,
        default: None,
        identity: None,
        generated: None,
        new_here: false,
        extras: Extras::default(),
    }
}

/// A primary key's index.
fn index(table: &Name, name: &str, key: &Ident) -> Index {
    Index {
        name: Ident::new(name),
        columns: vec![Some(key.clone())],
        include: Vec::new(),
        uses: [key.clone()].into(),
        unique: true,
        primary: true,
        exclusion: false,
        partial: false,
        immediate: true,
        valid: true,
        constraint: Some(Ident::new(name)),
        inherited: false,
        definition: format!("CREATE UNIQUE INDEX {name} ON {table} USING btree ({key})"),
    }
}

/// A partitioned table with two partitions `{name}_1` and `{name}_2`.
pub(crate) fn partitioned(name: &str, columns: &[(&str, &str)]) -> [Relation; 3] {
    let parent = Relation { kind: RelationKind::PartitionedTable, ..table(name, columns) };
    let leaf = |n: u32| Relation {
        partition_of: Some(parent.name.clone()),
        ..table(&format!("{name}_{n}"), columns)
    };
    let leaves = [leaf(1), leaf(2)];
    let parent = Relation { partition_key: vec![parent.columns[0].name.clone()], ..parent };
    let [one, two] = leaves;
    [parent, one, two]
}

/// Plans a file, and shows that the folded effects of its steps are what its steps' undo takes back.
pub(crate) fn planned(catalog: &Catalog, sql: &str) -> Plan {
    let source = Source { name: "0001_test", text: sql };
    let plan = match plan(source, catalog, catalog, &Policy::default()) {
        Ok(plan) => plan,
        Err(refused) => panic!("refused: {refused:#?}"),
    };
    undo_restores(catalog, &plan);
    plan
}

/// The steps as text: a line `phase: statement` for each statement.
pub(crate) fn steps(catalog: &Catalog, sql: &str) -> String {
    show(&planned(catalog, sql))
}

/// A refusal's code, reason and way out.
pub(crate) fn refused(catalog: &Catalog, sql: &str) -> (Code, String) {
    let source = Source { name: "0001_test", text: sql };
    match plan(source, catalog, catalog, &Policy::default()) {
        Ok(plan) => panic!("planned:\n{}", show(&plan)),
        Err(refused) => (refused[0].code, format!("{}; {}", refused[0].message, refused[0].help)),
    }
}

/// See [`steps`].
pub(crate) fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let phase = step.phase.as_str();
        match &step.action {
            Action::Transaction { sql } => {
                for sql in sql {
                    let _ = writeln!(text, "{phase}: {sql}");
                }
            }
            Action::Long { sql } => {
                let _ = writeln!(text, "{phase}, long: {sql}");
            }
            Action::Alone { sql, .. } => {
                let _ = writeln!(text, "{phase}, alone: {sql}");
            }
            Action::Proof { query, .. } => {
                let _ = writeln!(text, "{phase}, proof: {query}");
            }
            Action::Backfill(backfill) => {
                let walk = match &backfill.walk {
                    Walk::Pages { stride } => format!("pages, stride {stride}"),
                    Walk::Key { columns } => format!("key {columns:?}"),
                    Walk::RowSet(row_set) => format!("key {:?}, row set", row_set.key),
                };
                if let Write::Update { set, pending, .. } = &backfill.write {
                    let set: Vec<String> =
                        set.iter().map(|(column, expr)| format!("{column} = {expr}")).collect();
                    let _ = writeln!(
                        text,
                        "{phase} {} by {walk}: {} where {pending}",
                        backfill.table,
                        set.join(", ")
                    );
                }
            }
        }
    }
    text
}

/// Taking back every step in reverse order leads to the catalog that was there, unless a step says that it cannot.
fn undo_restores(catalog: &Catalog, plan: &Plan) {
    let mut now = fold(catalog, plan.steps.iter().flat_map(|step| &step.provides));
    for step in plan.steps.iter().rev() {
        match &step.undo {
            Undo::Steps { steps, .. } => {
                now = fold(&now, steps.iter().flat_map(|step| &step.provides));
            }
            Undo::Nothing => {}
            Undo::Impossible { .. } => return,
        }
    }
    assert_eq!(now.relations, catalog.relations, "undo restores the relations");
    assert_eq!(now.sequences, catalog.sequences, "undo restores the sequences");
}
