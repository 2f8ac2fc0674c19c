//! serial and identity columns: a sequence, a default that draws from it, a backfill in heap order, NOT NULL. An identity
//! column draws from a sequence of ours until it is filled, and then becomes what was asked for.

use crate::catalog::{Catalog, Column, Identity, Relation, Sequence};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::sync::Derivation;
use crate::kind::shared::{batch, tree};
use crate::kind::{Ctx, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Need, Phase, Probe, Step};
use crate::sql::expr::{Expr, NullWhen};
use crate::sql::ident::{Ident, Name};
use crate::sql::names::Namer;

use super::{AddColumn, Holds, Leaves};

impl AddColumn {
    /// The sequence that PostgreSQL makes for the column, by the name it chooses.
    /// Source: `generateSerialExtraStmts` in src/backend/parser/parse_utilcmd.c.
    pub(super) fn sequence(&self, catalog: &Catalog) -> Option<Sequence> {
        (self.serial || self.identity.is_some()).then(|| {
            let name = Namer::new(catalog, &self.table.schema).sequence(&self.table.name, &self.column);
            let owned_by = Some((self.table.clone(), self.column.clone()));
            Sequence { name: self.table.sibling(name), owned_by }
        })
    }

    pub(super) fn with_sequence(&self, ctx: &Ctx, table: &Relation) -> Result<Online, Refusal> {
        if self.derived.is_some() || ctx.directives.fill_for(&self.column).is_some() {
            return Err(Refusal::new(
                Code::Directive,
                format!(
                    "column {} draws its values from a sequence, and cannot be filled otherwise",
                    self.column
                ),
                "leave `fill` out",
            ));
        }
        let Some(sequence) = self.sequence(ctx.logical) else { return Ok(self.as_written(ctx)) };
        let mut notices = Vec::new();
        let (draws_from, mut steps) = if self.identity.is_none() {
            notices.push((
                Code::Breaks,
                format!(
                    "roles that insert into {} without owning it need USAGE on sequence {}, as with any serial column",
                    self.table, sequence.name
                ),
            ));
            (sequence.name.clone(), vec![self.add_serial(ctx, table, &sequence)])
        } else {
            let ours = self.interim(ctx);
            (ours.clone(), vec![self.add_drawing(ctx, &ours)?])
        };
        let (back, came_back) = self.brought_back(ctx, Holds::Each);
        steps.extend(back);
        notices.extend(came_back);
        let next = Expr {
            text: ddl::sequence::next_value(&draws_from),
            null_when: NullWhen::Never,
            ..Expr::default()
        };
        let from = Derivation { alias: self.table.name.clone(), expr: &next, filter: None, otherwise: None };
        // Without a stride: rows are numbered in the order in which they lie in the heap, as the one statement would.
        steps.extend(self.backfill(ctx, &from, 1, "each row that exists gets its own number"));
        let after = self.not_null_after(ctx, table, true);
        steps.extend(after.steps);
        notices.extend(after.notices);
        notices.extend(batch::trigger_notices(ctx, table, &self.column));
        if let Some((identity, options)) = &self.identity {
            steps.push(self.become_identity(ctx, *identity, options, &draws_from, &sequence));
        }
        Ok(Online { steps, notices })
    }

    fn add_serial(&self, ctx: &Ctx, table: &Relation, sequence: &Sequence) -> Step {
        let name = &sequence.name;
        let server = &ctx.logical.server;
        // From 15 on the sequence of an unlogged table is unlogged. Source: release notes 15.
        let unlogged = table.unlogged && server.version.major() >= 15;
        let mut sql = vec![
            ddl::column::add(&self.table, &self.column, &self.definition("")),
            ddl::sequence::create(name, &self.data_type, "", unlogged),
        ];
        if table.owner != server.role {
            sql.push(ddl::sequence::owner(name, &table.owner));
        }
        sql.push(ddl::sequence::owned_by(name, &self.table, &self.column));
        sql.extend(self.free_numbers(ctx, name));
        sql.push(ddl::column::set_default(&self.table, &self.column, &ddl::sequence::next_value(name)));
        let effects = vec![self.drawing(name), Effect::Sequence(sequence.clone())];
        let why =
            "the sequence as a default given later is for new rows only, so no row is written under the lock";
        self.add(ctx, why, sql, Leaves::default(), effects, Holds::Each)
            .requires(Need::NoRelation(name.clone()))
    }

    /// The column with a sequence of ours. Every role may draw from it, because an identity column needs no right on its
    /// sequence: writers that never asked for one must not fail.
    fn add_drawing(&self, ctx: &Ctx, ours: &Name) -> Result<Step, Refusal> {
        let options = self.identity.as_ref().map_or("", |(_, options)| options);
        let lower = options.to_ascii_lowercase();
        if ["sequence name", "owned by", "logged"].iter().any(|word| lower.contains(word)) {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "column {}: SEQUENCE NAME, OWNED BY and LOGGED are not planned for an identity",
                    self.column
                ),
                "leave them out; PostgreSQL names the sequence after table and column",
            ));
        }
        let mut sql = vec![
            ddl::column::add(&self.table, &self.column, &self.definition("")),
            ddl::sequence::create(ours, &self.data_type, options, false),
            ddl::sequence::grant_usage(ours),
        ];
        sql.extend(self.free_numbers(ctx, ours));
        sql.push(ddl::column::set_default(&self.table, &self.column, &ddl::sequence::next_value(ours)));
        let why =
            "a default that draws from a sequence fills new rows until the column can become an identity";
        // The default depends on the sequence, so the column goes first.
        let leaves = Leaves { after: vec![ddl::sequence::drop(ours)], ..Leaves::default() };
        Ok(self.add(ctx, why, sql, leaves, vec![self.drawing(ours)], Holds::Each))
    }

    /// In one transaction, so that no INSERT meets the column without default and identity.
    fn become_identity(
        &self,
        ctx: &Ctx,
        identity: Identity,
        options: &str,
        ours: &Name,
        sequence: &Sequence,
    ) -> Step {
        let (table, column) = (&self.table, &self.column);
        let locks = tree::locks(ctx.physical, table, LockMode::AccessExclusive);
        // An identity column cannot lose NOT NULL, and without a default it must.
        let undo = Step::transaction(
            Phase::Expand,
            format!("Make column {column} of {table} an ordinary column"),
            "takes back the identity",
            vec![ddl::column::drop_identity(table, column), ddl::column::drop_not_null(table, column)],
        )
        .locks(locks.clone())
        .probe(Probe::NotNull { table: table.clone(), column: column.clone(), not_null: false })
        .provides(Effect::Identity { table: table.clone(), column: column.clone(), identity: None })
        .provides(Effect::SequenceGone(sequence.name.clone()))
        .provides(Effect::NotNull { table: table.clone(), column: column.clone(), not_null: None });
        Step::transaction(
            Phase::Validate,
            format!("Make column {column} of {table} an identity column"),
            "every row has a number, and the identity's own sequence goes on where ours stands",
            vec![
                ddl::column::drop_default(table, column),
                ddl::column::add_identity(table, column, identity, options),
                ddl::sequence::go_on(table, column, ours),
                ddl::sequence::drop(ours),
            ],
        )
        .locks(locks)
        .undone_by(vec![undo])
        .requires(Need::Column(table.clone(), column.clone()))
        .requires(Need::NoRelation(sequence.name.clone()))
        .provides(Effect::Default { table: table.clone(), column: column.clone(), default: None })
        .provides(Effect::Identity { table: table.clone(), column: column.clone(), identity: Some(identity) })
        .provides(Effect::Sequence(sequence.clone()))
    }

    fn drawing(&self, sequence: &Name) -> Effect {
        let column = Column { default: Some(ddl::sequence::next_value(sequence)), ..self.bare() };
        Effect::Column { table: self.table.clone(), column }
    }

    fn interim(&self, ctx: &Ctx) -> Name {
        let content = format!("{} {}.{}", ctx.migration, self.table, self.column);
        let name = Ident::generated(&format!("identity_{}", self.column.as_str()), &content);
        Name { schema: Ident::new("concertina"), name }
    }
}
