//! What a new table takes from others: LIKE, PARTITION OF, INHERITS.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateStmt, TableLikeClause};

use crate::catalog::{Column, Constraint, ConstraintKind, Index, Sequence};
use crate::ddl;
use crate::ddl::index::How;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::create_table::Builder;
use crate::sql::lower::{Refused, partition};
use crate::sql::names::IndexSort;

impl Builder<'_, '_> {
    /// LIKE: NOT NULL always comes along, the rest as INCLUDING says. Source: transformTableLikeClause in parse_utilcmd.c.
    pub(super) fn like(&mut self, like: &TableLikeClause) -> Result<(), Refused> {
        // Source: TableLikeOption in parsenodes.h.
        const CONSTRAINTS: u32 = 1 << 2;
        const DEFAULTS: u32 = 1 << 3;
        const GENERATED: u32 = 1 << 4;
        const IDENTITY: u32 = 1 << 5;
        const INDEXES: u32 = 1 << 6;
        let Some(var) = &like.relation else { return Ok(()) };
        let source = self.lower.relation("create_table", var)?.clone();
        let with = |option: u32| like.options & option != 0;
        for column in &source.columns {
            let mut copy = Column { not_null: None, new_here: true, ..column.clone() };
            copy.generated = copy.generated.filter(|_| with(GENERATED));
            let keep = if copy.generated.is_some() { with(GENERATED) } else { with(DEFAULTS) };
            copy.default =
                copy.default.filter(|_| keep && column.generated.is_some() == copy.generated.is_some());
            copy.identity = copy.identity.filter(|_| with(IDENTITY));
            let identity = copy.identity.is_some();
            self.relation.columns.push(copy);
            if let Some(not_null) = &column.not_null {
                self.mark_not_null(&column.name, not_null.name.clone());
            }
            if identity {
                let sequence = self.namer.sequence(&self.relation.name.name, &column.name);
                let owned_by = Some((self.relation.name.clone(), column.name.clone()));
                self.sequences.push(Sequence { name: self.relation.name.sibling(sequence), owned_by });
            }
        }
        if with(CONSTRAINTS) {
            for constraint in source.constraints.iter().filter(|c| c.kind == ConstraintKind::Check) {
                self.namer.take_constraint(&constraint.name);
                self.relation.constraints.push(Constraint { inherited: false, ..constraint.clone() });
            }
        }
        if with(INDEXES) {
            for index in &source.indexes {
                let constraint = index.constraint.as_ref().and_then(|name| source.constraint(name));
                let definition = body(&source.name, index);
                let copy = Index { inherited: false, definition, ..index.clone() };
                self.copied.push((copy, constraint.cloned()));
            }
        }
        Ok(())
    }

    /// A copy of an index of another table, under a name of its own. Of its definition it has only what follows the table.
    pub(super) fn copy(&mut self, index: Index, constraint: Option<Constraint>) {
        let sort = match &constraint {
            _ if index.primary => IndexSort::PrimaryKey,
            Some(constraint) if constraint.kind == ConstraintKind::Exclude => IndexSort::Exclusion,
            Some(_) => IndexSort::Unique,
            None => IndexSort::Plain,
        };
        let mut names: Vec<String> = Vec::new();
        let keys = index.columns.iter().map(|c| c.as_ref().map_or("expr", |c| c.as_str()));
        for name in keys.chain(index.include.iter().map(Ident::as_str)) {
            let mut unique = name.to_owned();
            let mut pass = 1;
            while names.contains(&unique) {
                unique = format!("{name}{pass}");
                pass += 1;
            }
            names.push(unique);
        }
        let table = self.relation.name.name.clone();
        let name = self.namer.index(&table, &names, sort);
        if index.primary {
            for column in index.columns.iter().flatten() {
                self.mark_not_null(column, None);
            }
        }
        let constraint = constraint.map(|constraint| Constraint { name: name.clone(), ..constraint });
        let inherited = index.inherited;
        self.relation.indexes.push(Index {
            definition: ddl::index::create(
                &name,
                &self.relation.name,
                index.unique,
                How::Plain,
                &index.definition,
            ),
            constraint: constraint.as_ref().map(|constraint| constraint.name.clone()),
            name,
            ..index
        });
        self.relation.constraints.extend(constraint.map(|c| Constraint { inherited, ..c }));
    }

    /// Columns, constraints and indexes of the partitioned parent.
    pub(super) fn partition_of(&mut self, create: &CreateStmt) -> Result<Name, Refused> {
        let var = ast::each(&create.inh_relations).find_map(|node| match node {
            NodeEnum::RangeVar(var) => Some(var),
            _ => None,
        });
        let Some(var) = var else {
            return Err(self.lower.will_fail("create_table", "42601", "no parent is named", "name it", None));
        };
        let parent = self.lower.relation("create_partition", var)?.clone();
        let own = std::mem::take(&mut self.relation.columns);
        let inherits = self.lower.catalog.server.version.partitions_share_identity();
        let identity = |column: &Column| column.identity.filter(|_| inherits);
        self.relation.columns = parent
            .columns
            .iter()
            .map(|column| Column { new_here: true, identity: identity(column), ..column.clone() })
            .collect();
        for column in own {
            if let Some(known) = self.relation.columns.iter_mut().find(|known| known.name == column.name) {
                known.default = column.default.or_else(|| known.default.take());
                known.not_null = known.not_null.take().or(column.not_null);
            }
        }
        for constraint in &parent.constraints {
            if matches!(constraint.kind, ConstraintKind::Check | ConstraintKind::ForeignKey { .. }) {
                self.namer.take_constraint(&constraint.name);
                self.relation.constraints.push(Constraint { inherited: true, ..constraint.clone() });
            }
        }
        for index in &parent.indexes {
            let constraint = index.constraint.as_ref().and_then(|name| parent.constraint(name));
            let definition = body(&parent.name, index);
            let copy = Index { inherited: true, definition, ..index.clone() };
            self.copied.push((copy, constraint.cloned()));
        }
        self.relation.triggers = parent.triggers.iter().filter(|trigger| trigger.row).cloned().collect();
        self.relation.partition_of = Some(parent.name.clone());
        let tokens = self.lower.tokens;
        let bound = partition::bound(tokens, self.lower.statement.tokens.clone());
        self.relation.partition_bound = bound.map(|at| tokens.slice(at.start, at.end).to_owned());
        Ok(parent.name)
    }

    /// Columns and CHECKs of plain inheritance; returns the parents.
    pub(super) fn inherit(&mut self, create: &CreateStmt) -> Result<Vec<Name>, Refused> {
        let mut parents = Vec::new();
        let own = std::mem::take(&mut self.relation.columns);
        for node in ast::each(&create.inh_relations) {
            let NodeEnum::RangeVar(var) = node else { continue };
            let parent = self.lower.relation("create_table", var)?;
            for column in &parent.columns {
                if self.relation.column(&column.name).is_none() {
                    let copy = Column { new_here: true, identity: None, ..column.clone() };
                    self.relation.columns.push(copy);
                }
            }
            for constraint in parent.constraints.iter().filter(|c| c.kind == ConstraintKind::Check) {
                self.relation.constraints.push(Constraint { inherited: true, ..constraint.clone() });
            }
            self.relation.inherits = true;
            parents.push(parent.name.clone());
        }
        for column in own {
            match self.relation.columns.iter_mut().find(|known| known.name == column.name) {
                Some(known) => *known = column,
                None => self.relation.columns.push(column),
            }
        }
        Ok(parents)
    }
}

fn body(table: &Name, index: &Index) -> String {
    ddl::index::body(table, index).unwrap_or_default().to_owned()
}
