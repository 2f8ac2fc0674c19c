//! What exists: relations, columns, constraints, indexes, dependents, sizes and the server they live on.
//!
//! One type serves as *physical* catalog (what introspection saw, our scaffolding included) and as *logical*
//! catalog (what the user would see once everything in flight is contracted). [`crate::effect::Effect`] is the
//! only thing that changes one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pg::firing::Firing;
use crate::pg::version::Version;
use crate::sql::ident::{Ident, Name};

/// A snapshot of a database's schema, as far as planning needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The server and what our role may do on it.
    pub server: Server,
    /// Schemas that are not PostgreSQL's own.
    pub schemas: BTreeSet<Ident>,
    /// Tables, partitioned tables, views, materialized views, foreign tables. Indexes and sequences are apart.
    pub relations: BTreeMap<Name, Relation>,
    /// Sequences, owned or not.
    pub sequences: BTreeMap<Name, Sequence>,
    /// Enums, domains, composites and ranges made by users.
    pub types: BTreeMap<Name, Type>,
    /// Functions and procedures outside `pg_catalog` and `information_schema`.
    pub functions: BTreeSet<Function>,
    /// Every function name in `pg_catalog`, with the worst volatility of its overloads.
    pub builtin_volatility: BTreeMap<Ident, Volatility>,
    /// Installed extensions.
    pub extensions: BTreeSet<Ident>,
    /// Who needs the functions, types and sequences that exist; see [`Catalog::users`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Use>,
    /// Tables in the archive, each with its columns in order: what an earlier undo kept there comes back when the migration
    /// runs again. Not part of the schema: no effect changes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub archived: BTreeMap<Name, Vec<(Ident, String)>>,
    /// Set once a statement ran whose effects cannot be known; says which. Nothing after it can be planned.
    pub unknown_since: Option<String>,
}

/// The server and the session's rights on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`.
    pub version: Version,
    /// Schemas searched for unqualified names, `$user` resolved, missing ones removed.
    pub search_path: Vec<Ident>,
    /// `current_user`.
    pub role: Ident,
    /// The role may `SET session_replication_role` (superuser, or granted on 15 and later).
    pub may_skip_triggers: bool,
}

/// `pg_class.relkind`, for what lives in [`Catalog::relations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `c`: a free-standing composite type
    CompositeType,
}

/// A table or something that is queried like one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Name.
    pub name: Name,
    /// `pg_class.oid`; 0 when it does not exist yet.
    pub oid: u32,
    /// What it is.
    pub kind: RelationKind,
    /// Owning role.
    pub owner: Ident,
    /// `pg_class.relpersistence = 'u'`.
    pub unlogged: bool,
    /// Estimated rows: `reltuples`, or pages times a guess when never analysed; partitions summed.
    pub rows: u64,
    /// Heap size in bytes, TOAST included, indexes not; partitions summed.
    pub bytes: u64,
    /// Total size of the indexes in bytes; partitions summed.
    pub index_bytes: u64,
    /// Live columns in attribute order.
    pub columns: Vec<Column>,
    /// Constraints of `pg_constraint`, NOT NULL ones (18+) excepted: those are [`Column::not_null`].
    pub constraints: Vec<Constraint>,
    /// Indexes, those behind constraints included.
    pub indexes: Vec<Index>,
    /// Triggers that are not internal.
    pub triggers: Vec<Trigger>,
    /// Row level security is enabled.
    pub row_security: bool,
    /// Row level security holds for the owner too (`relforcerowsecurity`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub row_security_forced: bool,
    /// Row level security policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Rewrite rules, a view's own excepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Parent, if this is a partition.
    pub partition_of: Option<Name>,
    /// Columns used by the partition key (also inside expressions), if partitioned.
    pub partition_key: Vec<Ident>,
    /// How it is divided, if partitioned: `pg_get_partkeydef`, or as written after `PARTITION BY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<String>,
    /// Which rows it takes, if this is a partition: `pg_get_expr` of its bound, or as written (`FOR VALUES …`, `DEFAULT`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_bound: Option<String>,
    /// A DETACH … CONCURRENTLY of it was begun and not ended (`pg_inherits.inhdetachpending`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detaching: bool,
    /// Direct partitions.
    pub partitions: Vec<Name>,
    /// Parent tables by plain inheritance, or children present: such tables are refused by most kinds.
    pub inherits: bool,
    /// Objects that depend on the table or on one of its columns and do not vanish with a mere ALTER.
    pub dependents: Vec<Dependent>,
    /// Statements that make a view or materialized view anew, but for its indexes and triggers; empty where that cannot be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anew: Vec<String>,
    /// Set on tables made by a planned statement of the same file: empty, seen by nobody, locks cost nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_here: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: Ident,
    /// `format_type(atttypid, atttypmod)`; as written, for columns that do not exist yet.
    pub data_type: String,
    /// NOT NULL, if it is.
    pub not_null: Option<NotNull>,
    /// Default expression: `pg_get_expr`, or as written.
    pub default: Option<String>,
    /// `GENERATED … AS IDENTITY`.
    pub identity: Option<Identity>,
    /// `GENERATED ALWAYS AS (…)`.
    pub generated: Option<Generated>,
    /// Added by a planned statement of the same file: old code never names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_here: bool,
    /// What else a second column in its place must be given.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// What is said of a column beside its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// Collation as SQL names it, where it is not the type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Rights on this column alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<ColumnGrant>,
    /// Comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `SET STATISTICS`, where it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<i32>,
}

impl Extras {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A right on one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnGrant {
    /// `SELECT`, `INSERT`, `UPDATE` or `REFERENCES`.
    pub privilege: String,
    /// Role; `None` is PUBLIC.
    pub to: Option<Ident>,
    /// WITH GRANT OPTION
    pub grantable: bool,
}

/// A NOT NULL marking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotNull {
    /// Constraint name, on 18 and later.
    pub name: Option<Ident>,
    /// False only for `NOT NULL … NOT VALID` (18+).
    pub valid: bool,
}

/// `pg_attribute.attidentity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// `a`
    Always,
    /// `d`
    ByDefault,
}

/// `pg_attribute.attgenerated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generated {
    /// `s`
    Stored,
    /// `v` (18+)
    Virtual,
}

/// A constraint other than NOT NULL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Name.
    pub name: Ident,
    /// What it is, with what only that sort has.
    pub kind: ConstraintKind,
    /// Constrained columns in `conkey` order; empty for a CHECK over no column.
    pub columns: Vec<Ident>,
    /// `pg_get_constraintdef`, or as written after `CONSTRAINT name`.
    pub definition: String,
    /// `convalidated`.
    pub validated: bool,
    /// `condeferrable`.
    pub deferrable: bool,
    /// Inherited from a parent's constraint (`coninhcount > 0` or `conparentid <> 0`).
    pub inherited: bool,
}

/// `pg_constraint.contype`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    /// `c`
    Check,
    /// `p`, with its index
    PrimaryKey,
    /// `u`, with its index
    Unique,
    /// `f`
    ForeignKey {
        /// Referenced table.
        table: Name,
        /// Referenced columns in `confkey` order.
        columns: Vec<Ident>,
    },
    /// `x`
    Exclude,
    /// `t`
    Trigger,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Name; its schema is the table's.
    pub name: Ident,
    /// Key columns in order; `None` where the key is an expression.
    pub columns: Vec<Option<Ident>>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// Every column used anywhere: keys, INCLUDE, expressions, predicate.
    pub uses: BTreeSet<Ident>,
    /// `indisunique`
    pub unique: bool,
    /// `indisprimary`
    pub primary: bool,
    /// `indisexclusion`
    pub exclusion: bool,
    /// Has a WHERE clause.
    pub partial: bool,
    /// `indimmediate`; false for a deferrable constraint's index.
    pub immediate: bool,
    /// `indisvalid`
    pub valid: bool,
    /// Stands behind this constraint of the same table.
    pub constraint: Option<Ident>,
    /// Attached to an index of the partitioned parent.
    pub inherited: bool,
    /// `pg_get_indexdef`, or as written.
    pub definition: String,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Name.
    pub name: Ident,
    /// FOR EACH ROW (otherwise FOR EACH STATEMENT).
    pub row: bool,
    /// Fires before the event (otherwise after or instead of).
    pub before: bool,
    /// Fires on UPDATE (INSERT, DELETE and TRUNCATE likewise).
    pub on: Vec<TriggerEvent>,
    /// Columns of `UPDATE OF`.
    pub update_of: Vec<Ident>,
    /// Uses a transition table.
    pub transition_table: bool,
    /// `tgenabled`: the sessions in which it fires.
    #[serde(rename = "enabled")]
    pub fires: Firing,
    /// `pg_get_triggerdef`, or as written.
    pub definition: String,
}

/// A row level security policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Name.
    pub name: Ident,
    /// Permissive (otherwise restrictive).
    pub permissive: bool,
    /// Statements that make it again.
    pub anew: Vec<String>,
}

/// A rewrite rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Name.
    pub name: Ident,
    /// Statements that make it again: `pg_get_ruledef`, and what disables it if it is.
    pub anew: Vec<String>,
}

/// What a trigger fires on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerEvent {
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// TRUNCATE
    Truncate,
}

/// Something that stands in the way of dropping a column or table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependent {
    /// The column it depends on; `None` for the table as a whole.
    pub column: Option<Ident>,
    /// What sort of object it is.
    pub kind: DependentKind,
    /// `pg_describe_object`, for people.
    pub description: String,
    /// `deptype` is auto or internal: DROP COLUMN removes it silently (index, default, own constraint, sequence).
    pub automatic: bool,
    /// A statement that makes it again: for statistics and membership in publications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anew: Option<String>,
}

/// Sorts of dependents that planning tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependentKind {
    /// View or materialized view (through its rewrite rule).
    View,
    /// Row level security policy.
    Policy,
    /// Trigger with UPDATE OF or WHEN.
    Trigger,
    /// Another, generated column.
    GeneratedColumn,
    /// SQL-standard function body.
    Function,
    /// Foreign key of another table that references this one.
    ForeignKey,
    /// Publication column list or membership.
    Publication,
    /// Extended statistics object.
    Statistics,
    /// Anything else.
    Other,
}

impl Dependent {
    /// Whether it is this policy, by what `pg_describe_object` calls it.
    pub fn is_policy(&self, table: &Name, policy: &Ident) -> bool {
        let on = format!("policy {} on table ", policy.as_str());
        self.kind == DependentKind::Policy
            && self
                .description
                .strip_prefix(&on)
                .is_some_and(|called| called == table.to_string() || called == table.name.to_string())
    }

    /// Whether it is this view, by what `pg_describe_object` calls it: qualified where the search path does not find it.
    pub fn is_view(&self, name: &Name) -> bool {
        let called = self.description.strip_prefix("materialized ").unwrap_or(&self.description);
        self.kind == DependentKind::View
            && called
                .strip_prefix("view ")
                .is_some_and(|called| called == name.to_string() || called == name.name.to_string())
    }
}

impl Dependent {
    /// Whether it is this trigger of the table, by what `pg_describe_object` calls it: without quotes.
    pub fn is_trigger(&self, name: &Ident) -> bool {
        let called =
            self.description.strip_prefix("trigger ").and_then(|rest| rest.strip_prefix(name.as_str()));
        self.kind == DependentKind::Trigger && called.is_some_and(|rest| rest.starts_with(" on "))
    }
}

/// Something that needs a function, a type or a sequence: dropping that without CASCADE fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Use {
    /// What is needed.
    pub of: Object,
    /// Who needs it.
    pub by: User,
    /// `pg_describe_object` of who needs it, for people.
    pub description: String,
}

/// An object that is no relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// Every function or procedure of this name.
    Function(Name),
    /// Enum, domain, composite, range.
    Type(Name),
    /// Sequence.
    Sequence(Name),
}

/// Who needs an object, as far as it can be told when he is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum User {
    /// A column, by its type.
    Column(Name, Ident),
    /// A column's default.
    Default(Name, Ident),
    /// A constraint of a table.
    Constraint(Name, Ident),
    /// An index of a table.
    Index(Name, Ident),
    /// A trigger of a table.
    Trigger(Name, Ident),
    /// A view, or a table by its rules.
    Relation(Name),
    /// Anything else: it is taken to be there.
    Other,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// Name.
    pub name: Name,
    /// The column that owns it (OWNED BY or identity).
    pub owned_by: Option<(Name, Ident)>,
}

/// A user's type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Type {
    /// Name.
    pub name: Name,
    /// What it is.
    pub kind: TypeKind,
}

/// `pg_type.typtype`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeKind {
    /// Enum with its labels in order.
    Enum(Vec<String>),
    /// Domain; a column of it is scanned or rewritten where it has constraints (NOT NULL or CHECK).
    Domain {
        /// Has NOT NULL or CHECK.
        constrained: bool,
        /// Has a DEFAULT of its own.
        default: bool,
    },
    /// Composite, range, multirange, base.
    Other,
}

/// A function or procedure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Function {
    /// Name.
    pub name: Name,
    /// Identity arguments as in `pg_get_function_identity_arguments`; empty text for those not yet created.
    pub arguments: String,
    /// `provolatile`.
    pub volatility: Volatility,
    /// Names of relations that its body has as words, where the body is text; see [`crate::sql::mentions`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mentions: BTreeSet<Ident>,
}

/// How an expression's result may vary. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volatility {
    /// Same arguments, same result, for ever.
    Immutable,
    /// Same result within one statement (`now()`).
    Stable,
    /// May differ on every call (`random()`, `nextval()`, `clock_timestamp()`).
    Volatile,
}

impl Function {
    /// One whose body is not known.
    pub fn new(name: Name, arguments: impl Into<String>, volatility: Volatility) -> Self {
        Self { name, arguments: arguments.into(), volatility, mentions: BTreeSet::new() }
    }
}

impl Catalog {
    /// Finds a relation by a name as written: qualified, or the first match on the search path.
    pub fn resolve(&self, schema: Option<&Ident>, name: &Ident) -> Option<&Relation> {
        match schema {
            Some(schema) => self.relations.get(&Name { schema: schema.clone(), name: name.clone() }),
            None => {
                self.server.search_path.iter().find_map(|schema| {
                    self.relations.get(&Name { schema: schema.clone(), name: name.clone() })
                })
            }
        }
    }

    /// Where an unqualified new object goes: the first schema of the search path.
    pub fn creation_schema(&self) -> Ident {
        self.server.search_path.first().cloned().unwrap_or_else(|| Ident::new("public"))
    }

    /// The relation, or `None`.
    pub fn relation(&self, name: &Name) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// The table that has this index, with the index.
    pub fn index(&self, name: &Name) -> Option<(&Relation, &Index)> {
        self.relations
            .values()
            .filter(|relation| relation.name.schema == name.schema)
            .find_map(|relation| relation.index(&name.name).map(|index| (relation, index)))
    }

    /// The table and every partition below it that holds rows (the table itself when it is not partitioned).
    pub fn leaves(&self, name: &Name) -> Vec<&Relation> {
        let Some(relation) = self.relations.get(name) else { return Vec::new() };
        if relation.kind != RelationKind::PartitionedTable {
            return vec![relation];
        }
        relation.partitions.iter().flat_map(|partition| self.leaves(partition)).collect()
    }

    /// The table and every partition below it, parents before their partitions.
    pub fn tree(&self, name: &Name) -> Vec<&Relation> {
        let Some(relation) = self.relations.get(name) else { return Vec::new() };
        let below = relation.partitions.iter().flat_map(|partition| self.tree(partition));
        std::iter::once(relation).chain(below).collect()
    }

    /// Whether a relation, index or sequence of this name exists (they share one namespace in a schema).
    pub fn relation_name_taken(&self, name: &Name) -> bool {
        self.relations.contains_key(name) || self.sequences.contains_key(name) || self.index(name).is_some()
    }

    /// Sequences that columns of this table own.
    pub fn sequences_of(&self, table: &Name) -> impl Iterator<Item = &Sequence> {
        let owns =
            move |sequence: &&Sequence| sequence.owned_by.as_ref().is_some_and(|(owner, _)| owner == table);
        self.sequences.values().filter(owns)
    }

    /// Sequences that this column owns.
    pub fn sequences_of_column(&self, table: &Name, column: &Ident) -> impl Iterator<Item = &Sequence> {
        let owner = (table.clone(), column.clone());
        self.sequences.values().filter(move |sequence| sequence.owned_by.as_ref() == Some(&owner))
    }

    /// Who needs this object and is still there.
    pub fn users(&self, object: &Object) -> impl Iterator<Item = &Use> {
        self.uses.iter().filter(move |used| used.of == *object && self.is_there(&used.by))
    }

    pub(crate) fn is_there(&self, user: &User) -> bool {
        let on = |table: &Name, has: &dyn Fn(&Relation) -> bool| self.relation(table).is_some_and(has);
        match user {
            User::Column(table, name) => on(table, &|table| table.column(name).is_some()),
            User::Default(table, name) => on(table, &|table| {
                table.column(name).is_some_and(|c| c.default.is_some() || c.generated.is_some())
            }),
            User::Constraint(table, name) => on(table, &|table| table.constraint(name).is_some()),
            User::Index(table, name) => on(table, &|table| table.index(name).is_some()),
            User::Trigger(table, name) => on(table, &|table| table.trigger(name).is_some()),
            User::Relation(name) => self.relation(name).is_some(),
            User::Other => true,
        }
    }

    /// Foreign keys of other tables (or of itself) that reference `table`.
    pub fn incoming_foreign_keys(&self, table: &Name) -> Vec<(&Relation, &Constraint)> {
        self.relations
            .values()
            .flat_map(|relation| relation.constraints.iter().map(move |constraint| (relation, constraint)))
            .filter(|(_, c)| matches!(&c.kind, ConstraintKind::ForeignKey { table: referenced, .. } if referenced == table))
            .collect()
    }

    /// Those of them that reference this column.
    pub fn foreign_keys_to(&self, table: &Name, column: &Ident) -> Vec<(&Relation, &Constraint)> {
        let mut found = self.incoming_foreign_keys(table);
        found.retain(|(_, key)| {
            matches!(&key.kind, ConstraintKind::ForeignKey { columns, .. } if columns.contains(column))
        });
        found
    }
}

impl Relation {
    /// A relation that does not exist yet.
    pub fn new(name: Name, kind: RelationKind, owner: Ident) -> Self {
        Self {
            name,
            oid: 0,
            kind,
            owner,
            unlogged: false,
            rows: 0,
            bytes: 0,
            index_bytes: 0,
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            triggers: Vec::new(),
            row_security: false,
            row_security_forced: false,
            policies: Vec::new(),
            rules: Vec::new(),
            partition_of: None,
            partition_key: Vec::new(),
            partition_by: None,
            partition_bound: None,
            detaching: false,
            partitions: Vec::new(),
            inherits: false,
            dependents: Vec::new(),
            anew: Vec::new(),
            new_here: true,
        }
    }

    /// The column, or `None`.
    pub fn column(&self, name: &Ident) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The constraint, or `None`.
    pub fn constraint(&self, name: &Ident) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == *name)
    }

    /// The index, or `None`.
    pub fn index(&self, name: &Ident) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == *name)
    }

    /// The policy, or `None`.
    pub fn policy(&self, name: &Ident) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// The rule, or `None`.
    pub fn rule(&self, name: &Ident) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    /// The trigger, or `None`.
    pub fn trigger(&self, name: &Ident) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.name == *name)
    }

    /// The primary key's constraint.
    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.kind == ConstraintKind::PrimaryKey)
    }

    /// Keys that identify a row for keyset batches: unique, immediate, valid, total, on plain NOT NULL columns;
    /// the primary key first.
    pub fn row_keys(&self) -> Vec<Vec<Ident>> {
        let mut keys: Vec<(&Index, Vec<Ident>)> = self
            .indexes
            .iter()
            .filter(|index| index.unique && index.valid && index.immediate && !index.partial)
            .filter_map(|index| {
                index.columns.iter().cloned().collect::<Option<Vec<_>>>().map(|columns| (index, columns))
            })
            .filter(|(_, columns)| {
                columns.iter().all(|name| {
                    self.column(name).is_some_and(|column| column.not_null.as_ref().is_some_and(|n| n.valid))
                })
            })
            .collect();
        keys.sort_by(|(a, left), (b, right)| {
            (!a.primary, left.len(), &a.name).cmp(&(!b.primary, right.len(), &b.name))
        });
        keys.into_iter().map(|(_, columns)| columns).collect()
    }
}
