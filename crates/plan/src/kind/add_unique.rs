//! ADD UNIQUE: unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.

use crate::catalog::{Constraint, ConstraintKind, Index};
use crate::ddl;
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::{Ident, Name, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddUnique {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Key columns.
    pub columns: Vec<Ident>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// NULLS NOT DISTINCT (15+)
    pub nulls_not_distinct: bool,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub deferrable: String,
    /// `USING INDEX name`: then the rest is empty.
    pub using_index: Option<Ident>,
}

impl Kind for AddUnique {
    fn name(&self) -> &'static str {
        "add_unique"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let own = self.index(ctx);
        let mut effects = vec![
            Effect::Index { table: self.table.clone(), index: own.clone() },
            Effect::Constraint { table: self.table.clone(), constraint: self.constraint(&own) },
        ];
        if let Some(using) = &self.using_index
            && *using != self.name
        {
            effects.insert(0, Effect::IndexGone { table: self.table.clone(), index: using.clone() });
        }
        for branch in self.branches(ctx) {
            let constraint = Constraint { inherited: true, ..self.constraint(&branch.index) };
            effects.push(Effect::Index { table: branch.table.clone(), index: branch.index });
            effects.push(Effect::Constraint { table: branch.table, constraint });
        }
        effects
    }
}

impl AddUnique {
    /// The index behind the constraint, as the catalog will show it.
    fn index(&self, ctx: &Ctx) -> Index {
        let given = self
            .using_index
            .as_ref()
            .and_then(|index| ctx.logical.relation(&self.table)?.index(index))
            .cloned();
        let constraint = Some(self.name.clone());
        let immediate = self.deferrable.is_empty();
        match given {
            Some(index) => Index { name: self.name.clone(), constraint, immediate, ..index },
            None => Index {
                name: self.name.clone(),
                columns: self.columns.iter().cloned().map(Some).collect(),
                include: self.include.clone(),
                uses: self.columns.iter().chain(&self.include).cloned().collect(),
                unique: true,
                primary: false,
                exclusion: false,
                partial: false,
                immediate,
                valid: true,
                constraint,
                inherited: false,
                definition: self.index_definition(&self.name, &self.table),
            },
        }
    }

    /// The unique index as `CREATE UNIQUE INDEX` would be written, without CONCURRENTLY.
    fn index_definition(&self, name: &Ident, table: &Name) -> String {
        format!("CREATE UNIQUE INDEX {name} ON {table} USING btree {}", self.body())
    }

    /// What follows the access method of the index.
    fn body(&self) -> String {
        let mut body = format!("({})", list(&self.columns));
        if !self.include.is_empty() {
            body.push_str(&format!(" INCLUDE ({})", list(&self.include)));
        }
        if self.nulls_not_distinct {
            body.push_str(" NULLS NOT DISTINCT");
        }
        if !self.storage.is_empty() {
            body.push(' ');
            body.push_str(&self.storage);
        }
        body
    }

    /// The constraint that stands on `index`.
    fn constraint(&self, index: &Index) -> Constraint {
        let distinct = if self.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let include = if index.include.is_empty() {
            String::new()
        } else {
            format!(" INCLUDE ({})", list(&index.include))
        };
        let deferrable =
            if self.deferrable.is_empty() { String::new() } else { format!(" {}", self.deferrable) };
        let columns: Vec<Ident> = index.columns.iter().flatten().cloned().collect();
        Constraint {
            name: index.name.clone(),
            kind: ConstraintKind::Unique,
            definition: format!("UNIQUE{distinct} ({}){include}{deferrable}", list(&columns)),
            columns,
            validated: true,
            deferrable: !index.immediate,
            inherited: false,
        }
    }

    fn branches(&self, ctx: &Ctx) -> Vec<ddl::index::Branch> {
        let index = self.index(ctx);
        let columns = ddl::index::column_names(&index);
        ddl::index::branches(ctx.logical, &self.table, &index, &columns, "key")
            .into_iter()
            .map(|mut branch| {
                branch.index.constraint = Some(branch.index.name.clone());
                branch
            })
            .collect()
    }
}
