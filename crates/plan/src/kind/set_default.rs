//! SET DEFAULT: one short lock.

use crate::catalog::{Column, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Probe, Step};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct SetDefault {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// Default.
    pub default: Expr,
}

impl Kind for SetDefault {
    fn name(&self) -> &'static str {
        "set_default"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: Vec::new(),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, _) = self.check(ctx)?;
        alter::planned(table)?;
        if self.is_set(ctx) {
            let said = format!("column {} of {} has this default already", self.column, self.table);
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        // Where an earlier statement changes the default only at contract, this one must come after it.
        let before = ctx.physical.relation(&self.table).and_then(|table| table.column(&self.column));
        let now = table.column(&self.column).and_then(|column| column.default.as_ref());
        let waits = before.is_some_and(|column| column.default.as_ref() != now);
        let phase = if waits { Phase::Contract } else { Phase::Expand };
        let step = Step::transaction(
            phase,
            format!("Set the default of column {} of {}", self.column, self.table),
            if waits {
                "an earlier statement of the file changes the default at contract"
            } else {
                "new rows only, so nothing is scanned"
            },
            vec![ddl::column::set_default(&self.table, &self.column, &self.default.text)],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(true))
        .undone_by(vec![self.undo(ctx, before.and_then(|column| column.default.clone()))])
        .requires(Need::Column(self.table.clone(), self.column.clone()))
        .provides(self.effect(Some(self.default.text.clone())));
        let notice = (!table.new_here).then(|| (Code::Announce, self.felt()));
        Ok(Online { steps: vec![step], notices: notice.into_iter().collect() })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![self.effect(Some(self.default.text.clone()))]
    }
}

impl SetDefault {
    /// Source: `ATExecColumnDefault` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table_or_view(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        if column.identity.is_some() || column.generated.is_some() {
            return Err(WillFail::new(
                "42601",
                format!("column {} of {} is a generated or an identity column", self.column, self.table),
                "drop the identity or the expression first",
            ));
        }
        Ok((table, column))
    }

    /// The whole tree has this very text. Partitions may have defaults of their own, which the statement would replace.
    fn is_set(&self, ctx: &Ctx) -> bool {
        [ctx.logical, ctx.physical].into_iter().all(|catalog| {
            catalog.tree(&self.table).iter().all(|relation| {
                relation
                    .column(&self.column)
                    .is_some_and(|column| column.default.as_ref() == Some(&self.default.text))
            })
        })
    }

    fn undo(&self, ctx: &Ctx, before: Option<String>) -> Step {
        let sql = match &before {
            Some(default) => ddl::column::set_default(&self.table, &self.column, default),
            None => ddl::column::drop_default(&self.table, &self.column),
        };
        Step::transaction(
            Phase::Expand,
            format!("Restore the default of column {} of {}", self.column, self.table),
            "takes back SET DEFAULT",
            vec![sql],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(before.is_some()))
        .provides(self.effect(before))
    }

    fn effect(&self, default: Option<String>) -> Effect {
        Effect::Default { table: self.table.clone(), column: self.column.clone(), default }
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Default { table: self.table.clone(), column: self.column.clone(), exists }
    }

    fn felt(&self) -> String {
        format!(
            "code that leaves column {} of {} out of an INSERT gets the new default at once",
            self.column, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::diagnostic::Code;
    use crate::kind::shared::testing::{catalog, planned, refused, show, steps, table};
    use crate::plan::{Action, Undo};
    use crate::sql::ident::Name;

    fn users() -> Catalog {
        let mut catalog = catalog([table("users", &[("id", "bigint"), ("age", "integer")])]);
        let users = catalog.relations.get_mut(&Name::new("public", "users")).expect("users");
        users.columns[1].default = Some("18".to_owned());
        catalog
    }

    #[test]
    fn at_once_and_undo_restores_the_old_text() {
        let plan = planned(&users(), "ALTER TABLE users ALTER age SET DEFAULT 21");
        assert_eq!(show(&plan), "expand: ALTER TABLE public.users ALTER COLUMN age SET DEFAULT 21\n");
        let Undo::Steps { steps, .. } = &plan.steps[0].undo else { panic!("{plan:?}") };
        let Action::Transaction { sql } = &steps[0].action else { panic!("{plan:?}") };
        assert_eq!(sql, &["ALTER TABLE public.users ALTER COLUMN age SET DEFAULT 18"]);
        assert_eq!(plan.notices[0].code, Code::Announce);
    }

    #[test]
    fn the_same_default_again_is_nothing() {
        assert_eq!(steps(&users(), "ALTER TABLE users ALTER age SET DEFAULT 18"), "");
    }

    #[test]
    fn after_a_pending_drop_it_waits() {
        let sql = "ALTER TABLE users ALTER age DROP DEFAULT; ALTER TABLE users ALTER age SET DEFAULT 18";
        assert_eq!(
            steps(&users(), sql),
            "contract: ALTER TABLE public.users ALTER COLUMN age DROP DEFAULT\n\
             contract: ALTER TABLE public.users ALTER COLUMN age SET DEFAULT 18\n"
        );
    }

    #[test]
    fn an_identity_has_no_default() {
        let sql = "ALTER TABLE users ADD n bigint GENERATED ALWAYS AS IDENTITY; ALTER TABLE users ALTER n SET DEFAULT 1";
        let (code, said) = refused(&users(), sql);
        assert!(code == Code::WillFail && said.contains("42601"), "{said}");
    }
}
