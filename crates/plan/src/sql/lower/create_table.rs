//! CREATE TABLE: the relation as the catalog will show it, with the names PostgreSQL gives.

use std::collections::BTreeSet;
use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint as Node, CreateStmt, RangeVar};

use crate::catalog::{
    Column, Constraint, ConstraintKind, Extras, Index, NotNull, Relation, RelationKind, Sequence,
};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::attach_partition::AttachPartition;
use crate::kind::create_table::CreateTable;
use crate::pg::lock::LockMode;
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name, list, literal};
use crate::sql::lower::column::{self, Definition};
use crate::sql::lower::constraint::{
    check_expr, deferrable, foreign_key_options, is_self, key_clauses, only_column, referenced_columns,
};
use crate::sql::lower::index::{elements, key};
use crate::sql::lower::{Lower, Lowered, Refused, Run, alter_table, partition, tree};
use crate::sql::names::{self, IndexSort, Namer};
use crate::sql::tokens::Kind;
use crate::sql::{analyse, ast};

/// Lowers it.
pub(crate) fn lower(lower: &Lower, create: &CreateStmt) -> Lowered {
    let Some(var) = &create.relation else { return Ok(Vec::new()) };
    let (schema, name) = ast::table_name(var);
    if var.relpersistence == "t" || schema.as_ref().is_some_and(|schema| schema.as_str() == "pg_temp") {
        return Err(Refused { run: None, ..temporary(lower) });
    }
    let name = lower.new_name(schema, name);
    let mut table = Builder::new(lower, name, create, var);
    table.elements(create)?;
    let parent = match &create.partbound {
        Some(_) => Some(table.partition_of(create)?),
        None => None,
    };
    let heirs = if create.partbound.is_none() { table.inherit(create)? } else { Vec::new() };
    table.checks();
    table.keys()?;
    table.foreign_keys()?;
    table.partition_by(create);
    let Builder { relation, sequences, references, .. } = table;
    let change = CreateTable {
        sql: lower.sql().to_owned(),
        relation,
        sequences,
        references,
        if_not_exists: create.if_not_exists,
    };
    if let Some(parent) = parent
        && lower.catalog.relation(&parent).is_some_and(|parent| !parent.new_here)
    {
        return existing_parent(lower, create, &parent, change);
    }
    if !heirs.is_empty() {
        return Err(inherits(lower, &heirs, change));
    }
    if create.of_typename.is_some() {
        let run = Run::default().unknown("create_table");
        return Err(lower.refuse(
            "create_table",
            Code::NotYet,
            "a typed table (OF type) is not modelled yet; creating it locks nothing that exists",
            "write the columns out",
            run,
        ));
    }
    Ok(vec![Change::CreateTable(change)])
}

/// The refusal of temporary objects.
pub(crate) fn temporary(lower: &Lower) -> Refused {
    lower.refuse(
        "create_temporary_table",
        Code::NotSchema,
        "a temporary table lives in one session, and every step of a plan may run in another one",
        "use a table in a schema, or put the logic into a function",
        Run::default(),
    )
}

/// A partition of a table that is in use: made as a table of its own, then attached, which takes a weak lock on the partitioned
/// table.
fn existing_parent(lower: &Lower, create: &CreateStmt, parent: &Name, change: CreateTable) -> Lowered {
    let tokens = lower.tokens;
    let statement = lower.statement.tokens.clone();
    let bound = partition::bound(tokens, statement.clone());
    let (Some(bound), true) = (bound, create.table_elts.is_empty()) else {
        let mode = LockMode::AccessExclusive;
        let run = Run {
            locks: vec![crate::plan::LockClaim { relation: parent.clone(), mode }],
            effects: lower.effects(&[Change::CreateTable(change)]),
            ..Run::default()
        };
        return Err(lower.refuse(
            "create_partition",
            Code::NotYet,
            format!("CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on {parent}, and with columns or constraints of its own it is not planned yet"),
            "create it without them, and add them by ALTER TABLE; or allow it, which runs it in one short try under the stall budget",
            run,
        ));
    };
    if lower.catalog.relation_name_taken(&change.relation.name) {
        return Ok(vec![Change::CreateTable(change)]);
    }
    let unlogged = if change.relation.unlogged { "UNLOGGED " } else { "" };
    let made = Relation {
        indexes: Vec::new(),
        triggers: Vec::new(),
        partition_of: None,
        partition_bound: None,
        columns: change.relation.columns.iter().map(|c| Column { identity: None, ..c.clone() }).collect(),
        constraints: change
            .relation
            .constraints
            .iter()
            .filter(|constraint| constraint.kind == ConstraintKind::Check)
            .map(|constraint| Constraint { inherited: false, ..constraint.clone() })
            .collect(),
        ..change.relation
    };
    let like = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION";
    let sql = format!(
        "CREATE {unlogged}TABLE {} (LIKE {parent} {like}) {}",
        made.name,
        tokens.slice(bound.end, statement.end)
    );
    let attach = AttachPartition {
        table: parent.clone(),
        partition: made.name.clone(),
        bound: tokens.slice(bound.start, bound.end).to_owned(),
        created: true,
    };
    let create = CreateTable { sql: sql.trim_end().to_owned(), relation: made, ..change };
    Ok(vec![Change::CreateTable(create), Change::AttachPartition(attach)])
}

fn inherits(lower: &Lower, parents: &[Name], change: CreateTable) -> Refused {
    let mut run = Run { effects: lower.effects(&[Change::CreateTable(change)]), ..Run::default() };
    for parent in parents.iter().filter_map(|parent| lower.catalog.relation(parent)) {
        run.locks.extend(tree(lower.catalog, parent, LockMode::ShareUpdateExclusive));
        run.effects
            .extend(alter_table::changed(lower.catalog, &parent.name, |parent| parent.inherits = true));
    }
    lower.refuse(
        "create_table",
        Code::NotYet,
        "plain inheritance (INHERITS) is not planned yet: later changes of the parent would have to be planned for the children too",
        "use declarative partitioning, or LIKE",
        run,
    )
}

/// A key that gets an index.
struct Key<'a> {
    node: &'a Node,
    at: Range<usize>,
    columns: Vec<Option<Ident>>,
    include: Vec<Ident>,
    names: Vec<String>,
    uses: BTreeSet<Ident>,
}

pub(super) struct Builder<'a, 'l> {
    pub(super) lower: &'l Lower<'l>,
    pub(super) relation: Relation,
    pub(super) namer: Namer<'l>,
    pub(super) sequences: Vec<Sequence>,
    pub(super) references: Vec<Name>,
    pub(super) checks: Vec<(Option<Ident>, Expr, bool)>,
    pub(super) keys: Vec<(&'a Node, Range<usize>, Option<Ident>)>,
    pub(super) foreign: Vec<(&'a Node, Range<usize>, Option<Ident>)>,
    /// Keys and indexes copied by LIKE or from a partitioned parent.
    pub(super) copied: Vec<(Index, Option<Constraint>)>,
    pub(super) named_not_nulls: bool,
}

impl<'a, 'l> Builder<'a, 'l> {
    fn new(lower: &'l Lower<'l>, name: Name, create: &CreateStmt, var: &RangeVar) -> Self {
        let kind =
            if create.partspec.is_some() { RelationKind::PartitionedTable } else { RelationKind::Table };
        let mut namer = Namer::new(lower.catalog, &name.schema);
        namer.take_relation(&name.name);
        let mut relation = Relation::new(name, kind, lower.catalog.server.role.clone());
        relation.unlogged = var.relpersistence == "u";
        Self {
            lower,
            relation,
            namer,
            sequences: Vec::new(),
            references: Vec::new(),
            checks: Vec::new(),
            keys: Vec::new(),
            foreign: Vec::new(),
            copied: Vec::new(),
            named_not_nulls: lower.catalog.server.version.not_null_not_valid(),
        }
    }

    fn elements(&mut self, create: &'a CreateStmt) -> Result<(), Refused> {
        let tokens = self.lower.tokens;
        let end = self.lower.statement.tokens.end;
        for element in ast::each(&create.table_elts) {
            match element {
                NodeEnum::ColumnDef(def) => self.column(def, end)?,
                NodeEnum::Constraint(node) => {
                    let start = tokens.at(ast::byte(node.location));
                    self.constraint(node, start..tokens.element_end(start, end), None);
                }
                NodeEnum::TableLikeClause(like) => self.like(like)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn column(&mut self, def: &'a ColumnDef, end: usize) -> Result<(), Refused> {
        let relation = self.relation.clone();
        let scope = self.lower.scope_of(&relation);
        let definition = column::definition(self.lower, def, end, &scope);
        if self.relation.column(&definition.name).is_some() {
            let reason = format!("column {} is named twice", definition.name);
            return Err(self.lower.will_fail("create_table", "42701", reason, "remove one", None));
        }
        let name = definition.name.clone();
        let not_null = definition.not_null.clone();
        let sequence = (definition.serial || definition.identity.is_some()).then(|| {
            let sequence = self.relation.name.sibling(self.namer.sequence(&self.relation.name.name, &name));
            let owned_by = Some((self.relation.name.clone(), name.clone()));
            self.sequences.push(Sequence { name: sequence.clone(), owned_by });
            sequence
        });
        let always = definition.serial || definition.identity.is_some();
        let mut column = plain(&definition);
        if let (true, Some(sequence)) = (definition.serial, &sequence) {
            column.default = Some(format!("nextval({}::regclass)", literal(&sequence.to_string())));
        }
        self.relation.columns.push(column);
        if not_null.is_some() || always {
            self.mark_not_null(&name, not_null.flatten());
        }
        for (node, at) in definition.constraints {
            self.constraint(node, at, Some(name.clone()));
        }
        Ok(())
    }

    pub(super) fn mark_not_null(&mut self, column: &Ident, given: Option<Ident>) {
        let table = self.relation.name.name.clone();
        let Some(at) = self.relation.columns.iter().position(|c| c.name == *column) else { return };
        if self.relation.columns[at].not_null.is_some() {
            return;
        }
        let name = self.named_not_nulls.then(|| match given {
            Some(given) => given,
            None => self.namer.constraint(&table, Some(column.as_str()), "not_null"),
        });
        self.relation.columns[at].not_null = Some(NotNull { name, valid: true });
    }

    fn constraint(&mut self, node: &'a Node, at: Range<usize>, column: Option<Ident>) {
        let given = (!node.conname.is_empty()).then(|| Ident::from(node.conname.as_str()));
        match node.contype() {
            ConstrType::ConstrCheck => {
                let relation = self.relation.clone();
                let expr = check_expr(self.lower, &relation, node, &at);
                self.checks.push((given, expr, node.is_no_inherit));
            }
            ConstrType::ConstrForeign => self.foreign.push((node, at, column)),
            ConstrType::ConstrPrimary | ConstrType::ConstrUnique | ConstrType::ConstrExclusion => {
                self.keys.push((node, at, column));
            }
            ConstrType::ConstrNotnull => {
                if let Some(column) = ast::idents(&node.keys).first() {
                    self.mark_not_null(column, given);
                }
            }
            _ => {}
        }
    }

    /// Names CHECKs and puts them first, as PostgreSQL makes them before any index.
    fn checks(&mut self) {
        for (given, expr, no_inherit) in std::mem::take(&mut self.checks) {
            let name = match given {
                Some(name) => {
                    self.namer.take_constraint(&name);
                    name
                }
                None => {
                    let table = self.relation.name.name.clone();
                    self.namer.constraint(&table, only_column(&expr).as_deref(), "check")
                }
            };
            self.relation.constraints.push(check(name, &expr, no_inherit));
        }
    }

    /// Indexes of keys: the primary key first, doubles left out. Source: transformIndexConstraints in parse_utilcmd.c.
    fn keys(&mut self) -> Result<(), Refused> {
        let mut keys = Vec::new();
        for (node, at, column) in std::mem::take(&mut self.keys) {
            keys.push(self.key(node, at, column)?);
        }
        keys.sort_by_key(|key| key.node.contype() != ConstrType::ConstrPrimary);
        let mut kept: Vec<(Key, Option<Ident>)> = Vec::new();
        for key in keys {
            let given = (!key.node.conname.is_empty()).then(|| Ident::from(key.node.conname.as_str()));
            let double = kept.iter_mut().find(|(other, _)| {
                key.node.contype() != ConstrType::ConstrExclusion
                    && other.columns == key.columns
                    && other.include == key.include
                    && other.node.nulls_not_distinct == key.node.nulls_not_distinct
                    && other.node.contype() != ConstrType::ConstrExclusion
            });
            match double {
                Some((_, name)) if name.is_none() => *name = given,
                Some((_, name)) if given.is_none() || *name == given => {}
                _ => kept.push((key, given)),
            }
        }
        for (key, given) in kept {
            self.index(key, given);
        }
        for (index, constraint) in std::mem::take(&mut self.copied) {
            self.copy(index, constraint);
        }
        Ok(())
    }

    fn key(&self, node: &'a Node, at: Range<usize>, column: Option<Ident>) -> Result<Key<'a>, Refused> {
        let include = ast::idents(&node.including);
        if node.contype() == ConstrType::ConstrExclusion {
            let pairs: Vec<_> = ast::each(&node.exclusions)
                .filter_map(|pair| match pair {
                    NodeEnum::List(pair) => pair.items.first(),
                    _ => None,
                })
                .cloned()
                .collect();
            let elements = elements(&pairs);
            let mut uses: BTreeSet<Ident> = include.iter().cloned().collect();
            for element in &elements {
                uses.extend(key(element));
                if let Some(expr) = ast::node(element.expr.as_deref()) {
                    uses.extend(self.columns_of(expr));
                }
            }
            if let Some(predicate) = ast::node(node.where_clause.as_deref()) {
                uses.extend(self.columns_of(predicate));
            }
            let columns = elements.iter().map(|element| key(element)).collect();
            let mut names = names::index_columns(&elements);
            names.extend(include.iter().map(|column| column.as_str().to_owned()));
            return Ok(Key { node, at, columns, include, names, uses });
        }
        let columns = column.map_or_else(|| ast::idents(&node.keys), |column| vec![column]);
        for column in columns.iter().chain(&include) {
            if self.relation.column(column).is_none() {
                return Err(self.lower.missing_column("create_table", &self.relation, column));
            }
        }
        let names = columns.iter().chain(&include).map(|column| column.as_str().to_owned()).collect();
        let uses = columns.iter().chain(&include).cloned().collect();
        Ok(Key { node, at, columns: columns.into_iter().map(Some).collect(), include, names, uses })
    }

    fn columns_of(&self, node: &NodeEnum) -> Vec<Ident> {
        let scope = self.lower.scope_of(&self.relation);
        let expr = analyse::expr(self.lower.tokens, self.lower.statement.tokens.clone(), node, &scope);
        expr.columns.into_iter().map(|reference| reference.column).collect()
    }

    fn index(&mut self, key: Key, given: Option<Ident>) {
        let (sort, kind, word) = match key.node.contype() {
            ConstrType::ConstrPrimary => (IndexSort::PrimaryKey, ConstraintKind::PrimaryKey, "PRIMARY KEY"),
            ConstrType::ConstrExclusion => (IndexSort::Exclusion, ConstraintKind::Exclude, "EXCLUDE"),
            _ => (IndexSort::Unique, ConstraintKind::Unique, "UNIQUE"),
        };
        let table = self.relation.name.name.clone();
        let name = match given {
            Some(name) => {
                self.namer.take_constraint(&name);
                self.namer.take_relation(&name);
                name
            }
            None => self.namer.index(&table, &key.names, sort),
        };
        let columns: Vec<Ident> = key.columns.iter().flatten().cloned().collect();
        if sort == IndexSort::PrimaryKey {
            for column in &columns {
                self.mark_not_null(column, None);
            }
        }
        let exclusion = sort == IndexSort::Exclusion;
        let clauses = key_clauses(self.lower.tokens, &key.at);
        let deferrable = key.node.deferrable || deferrable(self.lower.tokens, &key.at);
        let definition = if exclusion {
            let from = self
                .lower
                .tokens
                .find(key.at.start, key.at.end, |kind| kind == Kind::Exclude)
                .unwrap_or(key.at.start);
            self.lower.tokens.slice(from, key.at.end).to_owned()
        } else {
            let distinct = if key.node.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            let include = if key.include.is_empty() {
                String::new()
            } else {
                format!(" INCLUDE ({})", list(&key.include))
            };
            let deferrable = if clauses.deferrable.is_empty() {
                String::new()
            } else {
                format!(" {}", clauses.deferrable)
            };
            format!("{word}{distinct} ({}){include}{deferrable}", list(&columns))
        };
        self.relation.indexes.push(Index {
            name: name.clone(),
            columns: key.columns,
            include: key.include,
            uses: key.uses,
            unique: !exclusion,
            primary: sort == IndexSort::PrimaryKey,
            exclusion,
            partial: key.node.where_clause.is_some(),
            immediate: !deferrable,
            valid: true,
            constraint: Some(name.clone()),
            inherited: false,
            definition: format!(
                "CREATE UNIQUE INDEX {name} ON {} USING btree ({})",
                self.relation.name,
                list(&columns)
            ),
        });
        self.relation.constraints.push(Constraint {
            name,
            kind,
            columns,
            definition,
            validated: true,
            deferrable,
            inherited: false,
        });
    }

    fn foreign_keys(&mut self) -> Result<(), Refused> {
        for (node, at, column) in std::mem::take(&mut self.foreign) {
            let Some(var) = &node.pktable else { continue };
            let columns = column.map_or_else(|| ast::idents(&node.fk_attrs), |column| vec![column]);
            for column in &columns {
                if self.relation.column(column).is_none() {
                    return Err(self.lower.missing_column("create_table", &self.relation, column));
                }
            }
            let own = is_self(self.lower, var, &self.relation.name);
            let referenced = if own { &self.relation } else { self.lower.relation("create_table", var)? };
            let referenced_name = referenced.name.clone();
            let referenced_columns = referenced_columns(self.lower, node, referenced)?;
            if !own && !self.references.contains(&referenced_name) {
                self.references.push(referenced_name.clone());
            }
            let table = self.relation.name.name.clone();
            let name = if node.conname.is_empty() {
                self.namer.foreign_key(&table, &columns)
            } else {
                let name = Ident::from(node.conname.as_str());
                self.namer.take_constraint(&name);
                name
            };
            let options = foreign_key_options(self.lower.tokens, node, var, &at);
            let options = if options.is_empty() { options } else { format!(" {options}") };
            self.relation.constraints.push(Constraint {
                definition: format!(
                    "FOREIGN KEY ({}) REFERENCES {referenced_name} ({}){options}",
                    list(&columns),
                    list(&referenced_columns)
                ),
                kind: ConstraintKind::ForeignKey { table: referenced_name, columns: referenced_columns },
                name,
                columns,
                // On an empty table NOT VALID changes nothing. Source: transformFKConstraints in parse_utilcmd.c.
                validated: true,
                deferrable: node.deferrable || deferrable(self.lower.tokens, &at),
                inherited: false,
            });
        }
        Ok(())
    }

    fn partition_by(&mut self, create: &CreateStmt) {
        let Some(spec) = &create.partspec else { return };
        let tokens = self.lower.tokens;
        let open = tokens.at(ast::byte(spec.location));
        // PARTITION BY strategy (…)
        self.relation.partition_by = Some(tokens.slice(open + 2, tokens.close(open + 3) + 1).to_owned());
        for param in ast::each(&spec.part_params) {
            let NodeEnum::PartitionElem(element) = param else { continue };
            let mut columns = Vec::new();
            if !element.name.is_empty() {
                columns.push(Ident::from(element.name.as_str()));
            } else if let Some(expr) = ast::node(element.expr.as_deref()) {
                columns = self.columns_of(expr);
            }
            for column in columns {
                if !self.relation.partition_key.contains(&column) {
                    self.relation.partition_key.push(column);
                }
            }
        }
    }
}

/// A column as first made: NOT NULL is added by what names its constraint.
pub(crate) fn plain(definition: &Definition) -> Column {
    Column {
        name: definition.name.clone(),
        data_type: definition.data_type.clone(),
        not_null: None,
        default: definition.default.as_ref().map(|expr| expr.text.clone()),
        identity: definition.identity.as_ref().map(|(identity, _)| *identity),
        generated: definition.generated.as_ref().map(|(generated, _)| *generated),
        new_here: true,
        extras: Extras::default(),
    }
}

fn check(name: Ident, expr: &Expr, no_inherit: bool) -> Constraint {
    let mut columns: Vec<Ident> = Vec::new();
    for reference in &expr.columns {
        if !columns.contains(&reference.column) {
            columns.push(reference.column.clone());
        }
    }
    let no_inherit = if no_inherit { " NO INHERIT" } else { "" };
    Constraint {
        name,
        kind: ConstraintKind::Check,
        columns,
        definition: format!("CHECK ({}){no_inherit}", expr.text),
        validated: true,
        deferrable: false,
        inherited: false,
    }
}
