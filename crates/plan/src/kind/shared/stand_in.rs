//! A view that stands for a relation until contract: what it looks like in the catalogs, and what does not work through it.

use crate::catalog::{Column, ConstraintKind, Dependent, DependentKind, Relation, RelationKind};
use crate::ddl::alias::SecondName;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::sql::ident::Name;

/// The view and what hangs on its relation by it. `relation` is the relation as it was before, whatever its name is by then.
pub(crate) fn effects(
    view: &Name,
    of: &Name,
    relation: &Relation,
    second: Option<SecondName>,
) -> Vec<Effect> {
    let mut stand_in = Relation::new(view.clone(), RelationKind::View, relation.owner.clone());
    stand_in.new_here = false;
    let has_two_names = |column: &Column| second.is_some_and(|second| *second.column == column.name);
    let plain = |column: &Column| Column {
        not_null: None,
        identity: None,
        generated: None,
        default: column.default.clone().filter(|_| column.generated.is_none() && !has_two_names(column)),
        new_here: false,
        ..column.clone()
    };
    stand_in.columns = relation.columns.iter().map(plain).collect();
    if let Some(SecondName { column, name }) = second
        && let Some(first) = relation.column(column)
    {
        stand_in.columns.push(Column { name: name.clone(), ..plain(first) });
    }
    let dependents = relation.columns.iter().map(|column| Effect::Dependent {
        relation: of.clone(),
        dependent: Dependent {
            column: Some(column.name.clone()),
            kind: DependentKind::View,
            description: format!("view {view}"),
            automatic: false,
            anew: None,
        },
    });
    std::iter::once(Effect::Relation(Box::new(stand_in))).chain(dependents).collect()
}

/// What a view cannot do and its relation can. Measured by crates/proof/tests/alias.rs.
pub(crate) fn limits(ctx: &Ctx, relation: &Relation) -> Vec<String> {
    let mut limits = Vec::new();
    let mut add = |applies: bool, what: &str| {
        if applies {
            limits.push(what.to_owned());
        }
    };
    match relation.kind {
        RelationKind::View | RelationKind::CompositeType => return limits,
        RelationKind::MaterializedView => {
            add(true, "REFRESH MATERIALIZED VIEW (42809)");
            add(true, "COPY … TO (42809; COPY (SELECT …) TO works)");
            add(true, "ctid or other system column (42703)");
            add(true, "index to create (42809)");
            return limits;
        }
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => {}
    }
    let has = |sort: fn(&ConstraintKind) -> bool| relation.constraints.iter().any(|key| sort(&key.kind));
    let key = |kind: &ConstraintKind| {
        matches!(kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclude)
    };
    add(true, "COPY … FROM or TO (42809; COPY (SELECT …) TO works)");
    add(true, "TRUNCATE (42809)");
    add(
        ctx.physical.server.version.merges_only_into_tables(),
        "MERGE INTO (0A000; it works from PostgreSQL 17 on)",
    );
    add(has(key), "ON CONFLICT ON CONSTRAINT (42704; ON CONFLICT with columns works)");
    add(
        has(|kind| *kind == ConstraintKind::PrimaryKey),
        "GROUP BY the primary key alone beside other columns (42803)",
    );
    add(
        relation.columns.iter().any(|column| column.generated.is_some() || column.identity.is_some()),
        "UPDATE that sets a generated or identity column to DEFAULT (428C9)",
    );
    add(true, "WHERE CURRENT OF or TABLESAMPLE (0A000)");
    add(true, "ctid, tableoid or other system column (42703)");
    add(true, "foreign key to it, index or trigger on it, or ALTER TABLE (42809)");
    limits
}
