//! Syntax trees to changes: one statement at a time, names resolved in the catalog as the statements before leave it.
//!
//! `alter_table`, `create_table`, `index` and `dml` make the planned kinds; `as_written` knows what is online as it stands;
//! `refused` names everything else, with its reason and the way out.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::RangeVar;

use crate::catalog::{Catalog, Relation, RelationKind, Sequence};
use crate::change::Change;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::Ctx;
use crate::kind::as_written::AsWritten;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::policy::Policy;
use crate::sql::analyse::Scope;
use crate::sql::ast;
use crate::sql::directive::Directives;
use crate::sql::ident::{Ident, Name};
use crate::sql::parse::Parsed;
use crate::sql::similar::did_you_mean;
use crate::sql::tokens::Tokens;

mod alter_rest;
mod alter_some;
mod alter_table;
mod annotations;
mod as_written;
mod column;
mod constraint;
mod copied;
mod create_table;
mod dml;
mod drop;
mod function;
mod identity;
mod index;
mod kinds;
mod output;
mod partition;
mod policy;
mod queries;
mod refused;
mod refused_drop;
mod refused_session;
mod rename;
mod trigger;

#[cfg(test)]
pub(crate) mod tests;

/// What lowering a statement may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lower<'a> {
    /// Tokens of the file.
    pub(crate) tokens: &'a Tokens<'a>,
    /// The statement.
    pub(crate) statement: &'a Parsed,
    /// What exists when it runs.
    pub(crate) catalog: &'a Catalog,
    /// Limits and preferences.
    pub(crate) policy: &'a Policy,
    /// Its directives.
    pub(crate) directives: &'a Directives,
}

/// A statement that is recognised and not planned.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Kind name.
    pub(crate) kind: &'static str,
    /// Reason and way out.
    pub(crate) refusal: Refusal,
    /// Place, if not the whole statement.
    pub(crate) span: Option<Range<usize>>,
    /// How it runs if it is allowed; `None` where not even `allow` helps.
    pub(crate) run: Option<Box<AsWritten>>,
}

/// Changes, or why not.
pub(crate) type Lowered = Result<Vec<Change>, Refused>;

/// A statement, lowered.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// See [`Lowered`].
    pub(crate) changes: Lowered,
    /// Codes of refusals that `allow` lifted.
    pub(crate) allowed: Vec<Code>,
    /// What is certainly known of its effects, also where it is refused.
    pub(crate) effects: Vec<Effect>,
}

/// Lowers a statement. What is refused runs as written where a directive allows it, or where it touches nothing but tables made
/// by the same file.
pub(crate) fn lower(lower: &Lower) -> Outcome {
    let changes = match &lower.statement.node {
        // Its subcommands are several, and so may be their refusals.
        NodeEnum::AlterTableStmt(alter) => return alter_table::lower(lower, alter),
        NodeEnum::CreateStmt(create) => create_table::lower(lower, create),
        NodeEnum::IndexStmt(index) => index::create(lower, index),
        NodeEnum::ReindexStmt(reindex) if reindex.relation.is_some() => index::rebuild(lower, reindex),
        NodeEnum::UpdateStmt(update) => dml::update(lower, update),
        NodeEnum::DeleteStmt(delete) => dml::delete(lower, delete),
        NodeEnum::DropStmt(drop) if index::is_index(drop) => index::drop(lower, drop),
        NodeEnum::DropStmt(drop) => drop::lower(lower, drop),
        NodeEnum::CreateTrigStmt(statement) => trigger::create(lower, statement),
        NodeEnum::RuleStmt(statement) => policy::create_rule(lower, statement),
        NodeEnum::CreatePolicyStmt(statement) => policy::create(lower, statement),
        NodeEnum::AlterPolicyStmt(statement) => policy::alter(lower, statement),
        NodeEnum::RenameStmt(statement) => rename::lower(lower, statement),
        NodeEnum::AlterObjectSchemaStmt(statement) => rename::schema::set_schema(lower, statement),
        node => as_written::lower(lower, node).unwrap_or_else(|| Err(refused::statement(lower, node))),
    };
    match changes {
        Ok(changes) => {
            let effects = lower.effects(&changes);
            Outcome { changes: Ok(changes), allowed: Vec::new(), effects }
        }
        Err(refused) => lower.lift(refused),
    }
}

/// The table that a statement alters or updates, where it exists: what directives above it are about.
pub(crate) fn table<'a>(catalog: &'a Catalog, node: &NodeEnum) -> Option<&'a Relation> {
    let var = match node {
        NodeEnum::AlterTableStmt(alter) => alter.relation.as_ref()?,
        NodeEnum::UpdateStmt(update) => update.relation.as_ref()?,
        _ => return None,
    };
    let (schema, name) = ast::table_name(var);
    catalog.resolve(schema.as_ref(), &name)
}

impl<'a> Lower<'a> {
    /// The statement's text.
    pub(crate) fn sql(&self) -> &'a str {
        &self.tokens.text[self.statement.span.clone()]
    }

    /// The same with another catalog.
    pub(crate) fn with<'b>(&self, catalog: &'b Catalog) -> Lower<'b>
    where
        'a: 'b,
    {
        Lower { catalog, ..*self }
    }

    /// The planner's context with this catalog as all there is.
    fn ctx(&self) -> Ctx<'a> {
        Ctx {
            logical: self.catalog,
            physical: self.catalog,
            policy: self.policy,
            directives: self.directives,
            migration: "",
        }
    }

    /// What these changes do, one after the other.
    pub(crate) fn effects(&self, changes: &[Change]) -> Vec<Effect> {
        let mut catalog = self.catalog.clone();
        let mut all = Vec::new();
        for change in changes {
            let effects = change.kind().effects(&self.with(&catalog).ctx());
            catalog = fold(&catalog, &effects);
            all.extend(effects);
        }
        all
    }

    /// Runs a refused statement as written where that is allowed or harms nobody.
    fn lift(&self, refused: Refused) -> Outcome {
        let Some(run) = &refused.run else {
            return Outcome { changes: Err(refused), allowed: Vec::new(), effects: Vec::new() };
        };
        let effects = run.effects.clone();
        let code = refused.refusal.code;
        if matches!(code, Code::NotYet | Code::NoOnlineForm) && self.only_new(&run.locks) {
            let run = AsWritten { undo: Ok(run.undo.clone().unwrap_or_default()), ..(**run).clone() };
            return Outcome { changes: Ok(vec![Change::AsWritten(run)]), allowed: Vec::new(), effects };
        }
        if self.directives.allows(code) {
            let run = Change::AsWritten((**run).clone());
            return Outcome { changes: Ok(vec![run]), allowed: vec![code], effects };
        }
        Outcome { changes: Err(refused), allowed: Vec::new(), effects }
    }

    /// All that is changed was made by this file, so that nobody can be in the way. Reading others is online.
    fn only_new(&self, locks: &[LockClaim]) -> bool {
        let new = |name: &Name| {
            let index = || self.catalog.index(name).map(|(table, _)| table);
            self.catalog.relation(name).or_else(index).is_some_and(|table| table.new_here)
        };
        let mut changed = locks.iter().filter(|lock| lock.mode > LockMode::AccessShare).peekable();
        changed.peek().is_some() && changed.all(|lock| new(&lock.relation))
    }

    /// The relation that a table reference means.
    pub(crate) fn relation(&self, kind: &'static str, var: &RangeVar) -> Result<&'a Relation, Refused> {
        let (schema, name) = ast::table_name(var);
        self.catalog.resolve(schema.as_ref(), &name).ok_or_else(|| {
            let at = self.tokens.at(ast::byte(var.location));
            let span = self.tokens.bytes(at, self.tokens.after_name(at));
            self.missing_relation(kind, schema.as_ref(), &name, Some(span))
        })
    }

    /// The sequence that a name means.
    pub(crate) fn sequence(&self, schema: Option<&Ident>, name: &Ident) -> Option<&'a Sequence> {
        let path = match schema {
            Some(schema) => std::slice::from_ref(schema),
            None => self.catalog.server.search_path.as_slice(),
        };
        let named = |schema: &Ident| Name { schema: schema.clone(), name: name.clone() };
        path.iter().find_map(|schema| self.catalog.sequences.get(&named(schema)))
    }

    /// "relation … does not exist".
    pub(crate) fn missing_relation(
        &self,
        kind: &'static str,
        schema: Option<&Ident>,
        name: &Ident,
        span: Option<Range<usize>>,
    ) -> Refused {
        let written = written(schema, name);
        let system = match schema {
            Some(schema) => matches!(schema.as_str(), "pg_catalog" | "information_schema"),
            None => name.as_str().starts_with("pg_"),
        };
        if system {
            return self.refuse(
                kind,
                Code::Opaque,
                format!("{written} is PostgreSQL's own: what follows from a change of it is not known"),
                "use the statement that makes such a change",
                Run::default().unknown(kind),
            );
        }
        let elsewhere = self.catalog.relations.keys().find(|known| known.name == *name);
        let hint = match elsewhere {
            Some(known) => format!("did you mean {known}?"),
            None => did_you_mean(
                &written,
                self.catalog.relations.keys().map(|known| {
                    let visible = self.catalog.server.search_path.contains(&known.schema);
                    if schema.is_none() && visible { known.name.to_string() } else { known.to_string() }
                }),
            )
            .unwrap_or_else(|| "correct the name, or check the search_path".to_owned()),
        };
        self.will_fail(kind, "42P01", format!("relation {written} does not exist"), hint, span)
    }

    /// "column … does not exist".
    pub(crate) fn missing_column(&self, kind: &'static str, table: &Relation, column: &Ident) -> Refused {
        let hint = did_you_mean(column.as_str(), table.columns.iter().map(|c| c.name.as_str().to_owned()))
            .unwrap_or_else(|| "correct the name".to_owned());
        let reason = format!("column {column} of {} does not exist", table.name);
        self.will_fail(kind, "42703", reason, hint, None)
    }

    /// A failure that the catalog alone shows.
    pub(crate) fn will_fail(
        &self,
        kind: &'static str,
        sqlstate: &str,
        reason: impl std::fmt::Display,
        way_out: impl Into<String>,
        span: Option<Range<usize>>,
    ) -> Refused {
        Refused {
            kind,
            refusal: Refusal::new(Code::WillFail, format!("{reason} ({sqlstate})"), way_out),
            span,
            run: None,
        }
    }

    /// A refusal of this statement, which may be allowed to run as written.
    pub(crate) fn refuse(
        &self,
        kind: &'static str,
        code: Code,
        reason: impl Into<String>,
        way_out: impl Into<String>,
        run: Run,
    ) -> Refused {
        Refused {
            kind,
            refusal: Refusal::new(code, reason, way_out),
            span: None,
            run: Some(Box::new(AsWritten {
                kind,
                sql: self.sql().to_owned(),
                locks: run.locks,
                work: run.work,
                transaction: !run.alone,
                whole: true,
                effects: run.effects,
                undo: run.undo.ok_or_else(|| "it ran as written, under `allow`".to_owned()),
            })),
        }
    }

    /// Scope of expressions over one table.
    pub(crate) fn scope_of<'b>(&'b self, table: &'b Relation) -> Scope<'b> {
        Scope::table(self.catalog, Some(table), &table.name.name)
    }

    /// Name of a new relation: where a qualified name says, or the first schema of the search path.
    pub(crate) fn new_name(&self, schema: Option<Ident>, name: Ident) -> Name {
        Name { schema: schema.unwrap_or_else(|| self.catalog.creation_schema()), name }
    }
}

/// How a refused statement runs if it is allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// Locks on existing relations.
    pub(crate) locks: Vec<LockClaim>,
    /// Table-sized work.
    pub(crate) work: Vec<crate::plan::Work>,
    /// What is certainly known of its effects.
    pub(crate) effects: Vec<Effect>,
    /// It cannot run in a transaction block.
    pub(crate) alone: bool,
    /// What drops the object that it makes.
    pub(crate) undo: Option<String>,
}

impl Run {
    /// ACCESS EXCLUSIVE on a table and its partitions.
    pub(crate) fn on(catalog: &Catalog, table: &Relation) -> Self {
        Self::locking(catalog, table, LockMode::AccessExclusive)
    }

    /// This lock on a table and its partitions.
    pub(crate) fn locking(catalog: &Catalog, table: &Relation, mode: LockMode) -> Self {
        Self { locks: tree(catalog, table, mode), ..Self::default() }
    }

    /// At least this lock on whatever else the statement names.
    pub(crate) fn using(mut self, catalog: &Catalog, node: &NodeEnum, mode: LockMode) -> Self {
        for (schema, name) in ast::relations(node) {
            if let Some(relation) = catalog.resolve(schema.as_ref(), &name)
                && !self.locks.iter().any(|lock| lock.relation == relation.name)
            {
                self.locks.push(LockClaim { relation: relation.name.clone(), mode });
            }
        }
        self
    }

    /// ACCESS EXCLUSIVE also on the indexes of what is locked so: statements that rewrite them or change their owner.
    pub(crate) fn with_indexes(mut self, catalog: &Catalog) -> Self {
        let indexes: Vec<LockClaim> = self
            .locks
            .iter()
            .filter(|lock| lock.mode == LockMode::AccessExclusive)
            .filter_map(|lock| catalog.relation(&lock.relation))
            .flat_map(|relation| {
                relation.indexes.iter().map(|index| LockClaim {
                    relation: relation.name.sibling(index.name.clone()),
                    mode: LockMode::AccessExclusive,
                })
            })
            .collect();
        self.locks.extend(indexes);
        self
    }

    /// Adds an effect.
    pub(crate) fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Nothing is known of what comes after.
    pub(crate) fn unknown(self, what: &str) -> Self {
        self.effect(Effect::Unknown(what.to_owned()))
    }
}

/// A lock on a table and everything below it.
pub(crate) fn tree(catalog: &Catalog, table: &Relation, mode: LockMode) -> Vec<LockClaim> {
    let mut claims = vec![LockClaim { relation: table.name.clone(), mode }];
    for partition in table.partitions.iter().filter_map(|name| catalog.relation(name)) {
        claims.extend(tree(catalog, partition, mode));
    }
    claims
}

/// A name as the user would write it.
pub(crate) fn written(schema: Option<&Ident>, name: &Ident) -> String {
    match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_string(),
    }
}

/// What people call it.
pub(crate) fn noun(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::PartitionedTable => "partitioned table",
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialized view",
        RelationKind::ForeignTable => "foreign table",
        RelationKind::CompositeType => "composite type",
    }
}
