//! DROP NOT NULL: loosens, at once.

use crate::catalog::{Column, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Probe, Step, Undo};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropNotNull {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
}

impl Kind for DropNotNull {
    fn name(&self) -> &'static str {
        "drop_not_null"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let known = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column));
        // From 18 on partitions are not looked at where there is nothing to drop. Source: measured on 14, 15, 18.
        let nothing = known.is_some_and(|column| column.not_null.is_none());
        let alone = nothing && ctx.logical.server.version.not_null_not_valid();
        let locks = if alone { tree::lock } else { tree::locks };
        Facts {
            locks: locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: Vec::new(),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        alter::planned(table)?;
        if column.not_null.is_none() {
            let said =
                format!("column {} of {} is nullable already: nothing is done", self.column, self.table);
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        // Where an earlier statement makes the column NOT NULL only at contract, this one must come after it.
        let before = ctx.physical.relation(&self.table).and_then(|table| table.column(&self.column));
        let waits = before.is_some_and(|column| column.not_null.is_none());
        let step = Step::transaction(
            if waits { Phase::Contract } else { Phase::Expand },
            format!("Allow NULL in column {} of {}", self.column, self.table),
            if waits {
                "an earlier statement of the file makes it NOT NULL at contract"
            } else {
                "nothing is scanned, and no write is rejected that was accepted before"
            },
            vec![ddl::column::drop_not_null(&self.table, &self.column)],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive))
        .probe(Probe::NotNull { table: self.table.clone(), column: self.column.clone(), not_null: false })
        .undo(self.undo(ctx, table, waits))
        .requires(Need::Column(self.table.clone(), self.column.clone()))
        .provides(self.effect());
        let notice = (!table.new_here).then(|| (Code::Announce, self.felt()));
        Ok(Online { steps: vec![step], notices: notice.into_iter().collect() })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![self.effect()]
    }
}

impl DropNotNull {
    /// Source: `ATExecDropNotNull` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        if column.not_null.is_none() {
            return Ok((table, column));
        }
        if column.identity.is_some() {
            return Err(WillFail::new(
                "42601",
                format!("column {} of {} is an identity column", self.column, self.table),
                "drop the identity first",
            ));
        }
        if table.primary_key().is_some_and(|key| key.columns.contains(&self.column)) {
            return Err(WillFail::new(
                "42P16",
                format!("column {} is in the primary key of {}", self.column, self.table),
                "drop the primary key first",
            ));
        }
        let parent = table.partition_of.as_ref().and_then(|parent| ctx.logical.relation(parent));
        if parent.and_then(|parent| parent.column(&self.column)).is_some_and(|above| above.not_null.is_some())
        {
            return Err(WillFail::new(
                "42P16",
                format!("column {} of {} is NOT NULL in the partitioned table", self.column, self.table),
                "drop it from the partitioned table, which drops it from every partition",
            ));
        }
        Ok((table, column))
    }

    fn undo(&self, ctx: &Ctx, table: &Relation, waits: bool) -> Undo {
        if waits {
            return Undo::Nothing;
        }
        if table.new_here {
            let mut step = not_null::at_once(ctx.physical, &self.table, &self.column, Phase::Expand);
            step.undo = Undo::Nothing;
            return Undo::Steps { steps: vec![step], loses: None };
        }
        Undo::Steps {
            steps: not_null::restore(ctx.physical, table, &self.column),
            loses: Some(format!(
                "rows that got a NULL in column {} since then make undo stop, and it names them",
                self.column
            )),
        }
    }

    fn effect(&self) -> Effect {
        Effect::NotNull { table: self.table.clone(), column: self.column.clone(), not_null: None }
    }

    fn felt(&self) -> String {
        format!(
            "code that reads column {} of {} may meet NULL once new code writes it",
            self.column, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::diagnostic::Code;
    use crate::kind::shared::testing::{catalog, partitioned, planned, refused, show, steps, table};
    use crate::plan::{Action, Undo};

    fn users() -> Catalog {
        catalog([table("users", &[("id", "bigint"), ("email", "text!"), ("name", "text")])])
    }

    #[test]
    fn loosens_at_once_and_undo_proves_before_it_tightens() {
        let plan = planned(&users(), "ALTER TABLE users ALTER email DROP NOT NULL");
        assert_eq!(show(&plan), "expand: ALTER TABLE public.users ALTER COLUMN email DROP NOT NULL\n");
        let Undo::Steps { steps, loses } = &plan.steps[0].undo else { panic!("{plan:?}") };
        assert!(matches!(steps[0].action, Action::Proof { .. }));
        assert_eq!(steps.len(), 4);
        assert!(loses.as_ref().is_some_and(|loses| loses.contains("email")));
    }

    #[test]
    fn fails_where_the_server_would() {
        let mut events = catalog(partitioned("events", &[("id", "bigint"), ("kind", "text!")]));
        for relation in events.relations.values_mut() {
            relation.constraints.clear();
        }
        for (catalog, sql) in [
            (&users(), "ALTER TABLE users ALTER id DROP NOT NULL"),
            (&events, "ALTER TABLE events_1 ALTER kind DROP NOT NULL"),
        ] {
            let (code, said) = refused(catalog, sql);
            assert!(code == Code::WillFail && said.contains("42P16"), "{sql}: {said}");
        }
        assert_eq!(steps(&users(), "ALTER TABLE users ALTER name DROP NOT NULL"), "");
    }

    #[test]
    fn after_a_pending_set_it_waits() {
        let shown = steps(
            &users(),
            "ALTER TABLE users ALTER name SET NOT NULL; ALTER TABLE users ALTER name DROP NOT NULL",
        );
        assert!(
            shown.ends_with("contract: ALTER TABLE public.users ALTER COLUMN name DROP NOT NULL\n"),
            "{shown}"
        );
    }
}
