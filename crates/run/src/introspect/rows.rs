//! What the queries return, and how it becomes a [`Catalog`].

use std::collections::{BTreeMap, BTreeSet};

use concertina_plan::catalog::{
    self, Catalog, Column, Constraint, ConstraintKind, Dependent, DependentKind, Extras, Function, Generated,
    Identity, Index, NotNull, Object, Policy, RelationKind, Rule, Sequence, Trigger, TriggerEvent, Type,
    TypeKind, Use, User, Volatility,
};
use concertina_plan::pg::firing::Firing;
use concertina_plan::pg::version::Version;
use concertina_plan::sql::ident::{Ident, Name};
use concertina_plan::sql::mentions;
use serde::Deserialize;

/// Everything read in one transaction.
pub(super) struct Snapshot {
    pub(super) server: Server,
    pub(super) may_skip_triggers: bool,
    pub(super) relations: Vec<RelationRow>,
    pub(super) columns: Vec<ColumnRow>,
    pub(super) constraints: Vec<ConstraintRow>,
    pub(super) indexes: Vec<IndexRow>,
    pub(super) triggers: Vec<TriggerRow>,
    pub(super) dependents: Vec<DependentRow>,
    pub(super) sequences: Vec<SequenceRow>,
    pub(super) types: Vec<TypeRow>,
    pub(super) functions: Vec<FunctionRow>,
    pub(super) builtins: BTreeMap<Ident, Provolatile>,
    pub(super) uses: Vec<UseRow>,
    pub(super) views: Vec<ViewRow>,
    pub(super) archived: Vec<ArchivedRow>,
    pub(super) policies: Vec<PolicyRow>,
    pub(super) rules: Vec<RuleRow>,
}

#[derive(Deserialize)]
pub(super) struct ArchivedRow {
    name: Ident,
    columns: Vec<(Ident, String)>,
}

#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) version: Version,
    pub(super) superuser: bool,
    role: Ident,
    search_path: Vec<Ident>,
    schemas: BTreeSet<Ident>,
    extensions: BTreeSet<Ident>,
}

#[derive(Deserialize)]
pub(super) struct RelationRow {
    oid: u32,
    schema: Ident,
    name: Ident,
    kind: String,
    owner: Ident,
    unlogged: bool,
    row_security: bool,
    row_security_forced: bool,
    tuples: f64,
    pages: i64,
    block: u64,
    heap: Option<u64>,
    bytes: Option<u64>,
    index_bytes: Option<u64>,
    partition_of: Option<u32>,
    detaching: bool,
    partition_bound: Option<String>,
    partition_by: Option<String>,
    inherits: bool,
    partition_key: Option<Vec<i16>>,
}

#[derive(Deserialize)]
pub(super) struct ColumnRow {
    relation: u32,
    number: i16,
    name: Ident,
    data_type: String,
    not_null: bool,
    not_null_name: Option<Ident>,
    not_null_valid: bool,
    identity: String,
    generated: String,
    default: Option<String>,
    extras: Extras,
}

#[derive(Deserialize)]
pub(super) struct ConstraintRow {
    relation: u32,
    name: Ident,
    kind: String,
    columns: Vec<i16>,
    /// NULL when it was dropped while we looked.
    definition: Option<String>,
    validated: bool,
    deferrable: bool,
    inherited: bool,
    references: Option<ReferencesRow>,
}

#[derive(Deserialize)]
struct ReferencesRow {
    relation: u32,
    schema: Ident,
    name: Ident,
    columns: Vec<i16>,
}

#[derive(Deserialize)]
pub(super) struct IndexRow {
    relation: u32,
    name: Ident,
    key: Vec<i16>,
    keys: usize,
    inside: Vec<i16>,
    unique: bool,
    primary: bool,
    exclusion: bool,
    partial: bool,
    immediate: bool,
    valid: bool,
    constraint: Option<Ident>,
    inherited: bool,
    definition: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct TriggerRow {
    relation: u32,
    name: Ident,
    #[serde(rename = "type")]
    bits: u16,
    update_of: Vec<i16>,
    transition_table: bool,
    fires: Firing,
    definition: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DependentRow {
    relation: u32,
    column: i16,
    kind: DependentKind,
    description: String,
    automatic: bool,
    anew: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SequenceRow {
    schema: Ident,
    name: Ident,
    relation: Option<u32>,
    column: Option<i16>,
}

#[derive(Deserialize)]
pub(super) struct TypeRow {
    schema: Ident,
    name: Ident,
    kind: String,
    labels: Option<Vec<String>>,
    constrained: bool,
    default: bool,
}

#[derive(Deserialize)]
pub(super) struct FunctionRow {
    schema: Ident,
    name: Ident,
    arguments: Option<String>,
    volatility: Provolatile,
    body: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct UseRow {
    sort: Sort,
    schema: Ident,
    name: Ident,
    by: By,
    relation: Option<u32>,
    part: Option<Ident>,
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Function,
    Type,
    Sequence,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Column,
    Default,
    Constraint,
    Index,
    Trigger,
    Relation,
    Other,
}

#[derive(Deserialize)]
pub(super) struct PolicyRow {
    relation: u32,
    #[serde(flatten)]
    policy: Policy,
}

#[derive(Deserialize)]
pub(super) struct RuleRow {
    relation: u32,
    #[serde(flatten)]
    rule: Rule,
}

#[derive(Deserialize)]
pub(super) struct ViewRow {
    relation: u32,
    statements: Vec<String>,
}

/// `pg_proc.provolatile`
#[derive(Clone, Copy, Deserialize)]
pub(super) enum Provolatile {
    #[serde(rename = "i")]
    Immutable,
    #[serde(rename = "s")]
    Stable,
    #[serde(rename = "v")]
    Volatile,
}

impl Snapshot {
    pub(super) fn catalog(self) -> Catalog {
        let server = catalog::Server {
            version: self.server.version,
            search_path: self.server.search_path,
            role: self.server.role,
            may_skip_triggers: self.may_skip_triggers,
        };
        let names = Names {
            relations: self
                .relations
                .iter()
                .map(|row| (row.oid, Name { schema: row.schema.clone(), name: row.name.clone() }))
                .collect(),
            columns: self.columns.iter().map(|row| ((row.relation, row.number), row.name.clone())).collect(),
        };
        let mut relations: BTreeMap<u32, catalog::Relation> = BTreeMap::new();
        for row in self.relations {
            relations.insert(row.oid, row.relation(&names));
        }
        for (oid, column) in self.columns.into_iter().map(ColumnRow::column) {
            relations.entry(oid).and_modify(|relation| relation.columns.push(column));
        }
        for (oid, constraint) in self.constraints.into_iter().filter_map(|row| row.constraint(&names)) {
            relations.entry(oid).and_modify(|relation| relation.constraints.push(constraint));
        }
        for (oid, index) in self.indexes.into_iter().filter_map(|row| row.index(&names)) {
            relations.entry(oid).and_modify(|relation| relation.indexes.push(index));
        }
        for (oid, trigger) in self.triggers.into_iter().filter_map(|row| row.trigger(&names)) {
            relations.entry(oid).and_modify(|relation| relation.triggers.push(trigger));
        }
        for row in self.dependents {
            let DependentRow { relation, column, kind, description, automatic, anew } = row;
            let column = names.column(relation, column);
            let dependent = Dependent { column, kind, description, automatic, anew };
            relations.entry(relation).and_modify(|relation| relation.dependents.push(dependent));
        }
        for PolicyRow { relation, policy } in self.policies {
            relations.entry(relation).and_modify(|relation| relation.policies.push(policy));
        }
        for RuleRow { relation, rule } in self.rules {
            relations.entry(relation).and_modify(|relation| relation.rules.push(rule));
        }
        for ViewRow { relation, statements } in self.views {
            relations.entry(relation).and_modify(|relation| relation.anew = statements);
        }
        link_partitions(&mut relations, &names.relations);
        let named: BTreeSet<Ident> = names.relations.values().map(|relation| relation.name.clone()).collect();
        let sequences = self.sequences.into_iter().map(|row| row.sequence(&names));
        let types = self.types.into_iter().map(TypeRow::named);
        Catalog {
            server,
            schemas: self.server.schemas,
            relations: relations.into_values().map(|relation| (relation.name.clone(), relation)).collect(),
            sequences: sequences.map(|sequence| (sequence.name.clone(), sequence)).collect(),
            types: types.map(|named| (named.name.clone(), named)).collect(),
            functions: self.functions.into_iter().filter_map(|row| row.function(&named)).collect(),
            builtin_volatility: self
                .builtins
                .into_iter()
                .map(|(name, volatility)| (name, volatility.into()))
                .collect(),
            extensions: self.server.extensions,
            uses: self.uses.into_iter().map(|row| row.used(&names)).collect(),
            archived: self
                .archived
                .into_iter()
                .map(|row| (Name { schema: "concertina_archive".into(), name: row.name }, row.columns))
                .collect(),
            unknown_since: None,
        }
    }
}

/// What oids and attribute numbers stand for.
struct Names {
    relations: BTreeMap<u32, Name>,
    columns: BTreeMap<(u32, i16), Ident>,
}

impl Names {
    fn column(&self, relation: u32, number: i16) -> Option<Ident> {
        self.columns.get(&(relation, number)).cloned()
    }

    /// Those of `numbers` that are columns: 0 stands for an expression, a negative number for a system column.
    fn columns(&self, relation: u32, numbers: &[i16]) -> Vec<Ident> {
        numbers.iter().filter_map(|number| self.column(relation, *number)).collect()
    }
}

/// Names each parent's partitions, in the order of their creation, and adds their sizes up.
fn link_partitions(relations: &mut BTreeMap<u32, catalog::Relation>, names: &BTreeMap<u32, Name>) {
    let oids: BTreeMap<&Name, u32> = names.iter().map(|(oid, name)| (name, *oid)).collect();
    let parents: BTreeMap<u32, u32> = relations
        .iter()
        .filter_map(|(oid, relation)| {
            relation.partition_of.as_ref().and_then(|parent| oids.get(parent)).map(|parent| (*oid, *parent))
        })
        .collect();
    for (child, parent) in &parents {
        if let (Some(name), Some(parent)) = (names.get(child), relations.get_mut(parent)) {
            parent.partitions.push(name.clone());
        }
    }
    let leaves: Vec<(u32, u64, u64, u64)> = relations
        .values()
        .filter(|relation| relation.kind != RelationKind::PartitionedTable)
        .map(|relation| (relation.oid, relation.rows, relation.bytes, relation.index_bytes))
        .collect();
    for (leaf, rows, bytes, index_bytes) in leaves {
        let mut at = leaf;
        while let Some(parent) = parents.get(&at) {
            if let Some(relation) = relations.get_mut(parent) {
                relation.rows += rows;
                relation.bytes += bytes;
                relation.index_bytes += index_bytes;
            }
            at = *parent;
        }
    }
}

impl RelationRow {
    fn relation(self, names: &Names) -> catalog::Relation {
        let kind = match self.kind.as_str() {
            "p" => RelationKind::PartitionedTable,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            "c" => RelationKind::CompositeType,
            _ => RelationKind::Table,
        };
        let pages = u64::try_from(self.pages).unwrap_or_default();
        let mut partition_key = Vec::new();
        for column in names.columns(self.oid, &self.partition_key.unwrap_or_default()) {
            if !partition_key.contains(&column) {
                partition_key.push(column);
            }
        }
        catalog::Relation {
            oid: self.oid,
            unlogged: self.unlogged,
            rows: match kind {
                RelationKind::PartitionedTable => 0,
                _ => estimated_rows(
                    self.tuples,
                    pages,
                    self.heap.map(|heap| heap / self.block.max(1)),
                    self.block,
                ),
            },
            // One page of the index of its TOAST table is there before any row.
            bytes: if self.heap == Some(0) { 0 } else { self.bytes.unwrap_or_default() },
            index_bytes: self.index_bytes.unwrap_or_default(),
            row_security: self.row_security,
            row_security_forced: self.row_security_forced,
            partition_of: self.partition_of.and_then(|parent| names.relations.get(&parent).cloned()),
            partition_key,
            partition_by: self.partition_by,
            partition_bound: self.partition_bound,
            detaching: self.detaching,
            inherits: self.inherits,
            new_here: false,
            ..catalog::Relation::new(Name { schema: self.schema, name: self.name }, kind, self.owner)
        }
    }
}

/// Rows as the planner estimates them: the density at the last ANALYZE, times the pages there are now. Never analysed: pages times
/// a guess. Source: `estimate_rel_size` in src/backend/optimizer/util/plancat.c.
pub(crate) fn estimated_rows(tuples: f64, pages: u64, pages_now: Option<u64>, block: u64) -> u64 {
    /// A guess at the bytes of a row, header included.
    const ROW: f64 = 100.0;
    let now = pages_now.unwrap_or(pages);
    let density = if tuples >= 0.0 && pages > 0 { tuples / pages as f64 } else { block as f64 / ROW };
    let rows = if tuples > 0.0 && pages == 0 { tuples } else { density * now as f64 };
    // Finite and not negative: the conversion rounds, and saturates where it must.
    rows.round() as u64
}

impl ColumnRow {
    fn column(self) -> (u32, Column) {
        let not_null = NotNull { name: self.not_null_name, valid: self.not_null_valid };
        let column = Column {
            name: self.name,
            data_type: self.data_type,
            not_null: self.not_null.then_some(not_null),
            default: self.default,
            identity: match self.identity.as_str() {
                "a" => Some(Identity::Always),
                "d" => Some(Identity::ByDefault),
                _ => None,
            },
            generated: match self.generated.as_str() {
                "s" => Some(Generated::Stored),
                "v" => Some(Generated::Virtual),
                _ => None,
            },
            new_here: false,
            extras: self.extras,
        };
        (self.relation, column)
    }
}

impl ConstraintRow {
    fn constraint(self, names: &Names) -> Option<(u32, Constraint)> {
        let kind = match (self.kind.as_str(), self.references) {
            ("c", _) => ConstraintKind::Check,
            ("p", _) => ConstraintKind::PrimaryKey,
            ("u", _) => ConstraintKind::Unique,
            ("x", _) => ConstraintKind::Exclude,
            ("t", _) => ConstraintKind::Trigger,
            ("f", Some(to)) => ConstraintKind::ForeignKey {
                columns: names.columns(to.relation, &to.columns),
                table: Name { schema: to.schema, name: to.name },
            },
            _ => return None,
        };
        let constraint = Constraint {
            name: self.name,
            kind,
            columns: names.columns(self.relation, &self.columns),
            definition: self.definition?,
            validated: self.validated,
            deferrable: self.deferrable,
            inherited: self.inherited,
        };
        Some((self.relation, constraint))
    }
}

impl IndexRow {
    fn index(self, names: &Names) -> Option<(u32, Index)> {
        let (keys, include) = self.key.split_at_checked(self.keys)?;
        let used: Vec<i16> = self.key.iter().chain(&self.inside).copied().collect();
        let index = Index {
            name: self.name,
            columns: keys.iter().map(|number| names.column(self.relation, *number)).collect(),
            include: names.columns(self.relation, include),
            uses: names.columns(self.relation, &used).into_iter().collect(),
            unique: self.unique,
            primary: self.primary,
            exclusion: self.exclusion,
            partial: self.partial,
            immediate: self.immediate,
            valid: self.valid,
            constraint: self.constraint,
            inherited: self.inherited,
            definition: self.definition?,
        };
        Some((self.relation, index))
    }
}

impl TriggerRow {
    fn trigger(self, names: &Names) -> Option<(u32, Trigger)> {
        let is = |bit: u16| self.bits & bit != 0;
        let events = [
            (4, TriggerEvent::Insert),
            (16, TriggerEvent::Update),
            (8, TriggerEvent::Delete),
            (32, TriggerEvent::Truncate),
        ];
        let trigger = Trigger {
            row: is(1),
            before: is(2),
            on: events.into_iter().filter(|(bit, _)| is(*bit)).map(|(_, event)| event).collect(),
            name: self.name,
            update_of: names.columns(self.relation, &self.update_of),
            transition_table: self.transition_table,
            fires: self.fires,
            definition: self.definition?,
        };
        Some((self.relation, trigger))
    }
}

impl SequenceRow {
    fn sequence(self, names: &Names) -> Sequence {
        let owned_by = self.relation.zip(self.column).and_then(|(relation, column)| {
            names.relations.get(&relation).cloned().zip(names.column(relation, column))
        });
        Sequence { name: Name { schema: self.schema, name: self.name }, owned_by }
    }
}

impl TypeRow {
    fn named(self) -> Type {
        let kind = match (self.kind.as_str(), self.labels) {
            ("e", Some(labels)) => TypeKind::Enum(labels),
            ("d", _) => TypeKind::Domain { constrained: self.constrained, default: self.default },
            _ => TypeKind::Other,
        };
        Type { name: Name { schema: self.schema, name: self.name }, kind }
    }
}

impl FunctionRow {
    fn function(self, relations: &BTreeSet<Ident>) -> Option<Function> {
        let name = Name { schema: self.schema, name: self.name };
        let mut function = Function::new(name, self.arguments?, self.volatility.into());
        function.mentions = mentions::of(&self.body.unwrap_or_default(), |word| relations.contains(word));
        Some(function)
    }
}

impl UseRow {
    fn used(self, names: &Names) -> Use {
        let name = Name { schema: self.schema, name: self.name };
        let relation = self.relation.and_then(|oid| names.relations.get(&oid).cloned());
        let by = match (self.by, relation, self.part) {
            (By::Column, Some(table), Some(part)) => User::Column(table, part),
            (By::Default, Some(table), Some(part)) => User::Default(table, part),
            (By::Constraint, Some(table), Some(part)) => User::Constraint(table, part),
            (By::Index, Some(table), Some(part)) => User::Index(table, part),
            (By::Trigger, Some(table), Some(part)) => User::Trigger(table, part),
            (By::Relation, Some(name), _) => User::Relation(name),
            _ => User::Other,
        };
        let of = match self.sort {
            Sort::Function => Object::Function(name),
            Sort::Type => Object::Type(name),
            Sort::Sequence => Object::Sequence(name),
        };
        Use { of, by, description: self.description }
    }
}

impl From<Provolatile> for Volatility {
    fn from(letter: Provolatile) -> Self {
        match letter {
            Provolatile::Immutable => Self::Immutable,
            Provolatile::Stable => Self::Stable,
            Provolatile::Volatile => Self::Volatile,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::introspect::estimated_rows;

    #[test]
    fn rows_follow_the_size_since_the_last_analyze() {
        assert_eq!(estimated_rows(1000.0, 10, Some(20), 8192), 2000);
        assert_eq!(estimated_rows(1000.0, 10, None, 8192), 1000);
        assert_eq!(estimated_rows(0.0, 0, Some(0), 8192), 0);
        assert_eq!(estimated_rows(-1.0, 0, Some(0), 8192), 0);
        assert_eq!(estimated_rows(-1.0, 0, Some(100), 8192), 8192);
        // A foreign table has rows, but no pages.
        assert_eq!(estimated_rows(500.0, 0, None, 8192), 500);
    }
}
