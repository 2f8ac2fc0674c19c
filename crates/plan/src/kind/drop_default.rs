//! DROP DEFAULT: one short lock, at contract. Old code leaves the column out and counts on the default.

use crate::catalog::{Column, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Probe, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropDefault {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
}

impl Kind for DropDefault {
    fn name(&self) -> &'static str {
        "drop_default"
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
        let (table, column) = self.check(ctx)?;
        alter::planned(table)?;
        let Some(default) = column.default.clone() else {
            return Ok(Online {
                steps: Vec::new(),
                notices: vec![(
                    Code::Announce,
                    format!("column {} of {} has no default: nothing is done", self.column, self.table),
                )],
            });
        };
        let phase = if table.new_here { Phase::Expand } else { Phase::Contract };
        let locks = tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive);
        let back = Effect::Default {
            table: self.table.clone(),
            column: self.column.clone(),
            default: Some(default.clone()),
        };
        let undo = Step::transaction(
            Phase::Expand,
            format!("Give column {} of {} its default back", self.column, self.table),
            "takes back DROP DEFAULT",
            vec![ddl::column::set_default(&self.table, &self.column, &default)],
        )
        .locks(locks.clone())
        .probe(self.probe(true))
        .provides(back);
        let step = Step::transaction(
            phase,
            format!("Drop the default of column {} of {}", self.column, self.table),
            if table.new_here {
                "nobody writes to the table yet"
            } else {
                "code that leaves the column out counts on the default until contract"
            },
            vec![ddl::column::drop_default(&self.table, &self.column)],
        )
        .locks(locks)
        .probe(self.probe(false))
        .undone_by(vec![undo])
        .requires(Need::Column(self.table.clone(), self.column.clone()))
        .provides(self.effect());
        let notice =
            (!table.new_here).then(|| (Code::Announce, format!("from contract on, {}", self.felt())));
        Ok(Online { steps: vec![step], notices: notice.into_iter().collect() })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![self.effect()]
    }
}

impl DropDefault {
    /// Source: `ATExecColumnDefault` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table_or_view(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        if column.identity.is_some() || column.generated.is_some() {
            return Err(WillFail::new(
                "42601",
                format!("column {} of {} is a generated or an identity column", self.column, self.table),
                "use DROP IDENTITY or DROP EXPRESSION",
            ));
        }
        Ok((table, column))
    }

    fn effect(&self) -> Effect {
        Effect::Default { table: self.table.clone(), column: self.column.clone(), default: None }
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Default { table: self.table.clone(), column: self.column.clone(), exists }
    }

    fn felt(&self) -> String {
        format!("INSERTs into {} that leave column {} out write NULL into it", self.table, self.column)
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::kind::shared::testing::{catalog, planned, show, steps, table};
    use crate::plan::Undo;
    use crate::sql::ident::Name;

    fn users() -> Catalog {
        let mut catalog = catalog([table("users", &[("id", "bigint"), ("age", "integer")])]);
        let users = catalog.relations.get_mut(&Name::new("public", "users")).expect("users");
        users.columns[1].default = Some("18".to_owned());
        catalog
    }

    #[test]
    fn waits_for_contract_because_old_code_counts_on_it() {
        let plan = planned(&users(), "ALTER TABLE users ALTER age DROP DEFAULT");
        assert_eq!(show(&plan), "contract: ALTER TABLE public.users ALTER COLUMN age DROP DEFAULT\n");
        assert!(matches!(&plan.steps[0].undo, Undo::Steps { steps, .. } if steps.len() == 1));
        assert!(plan.notices[0].message.contains("from contract on"));
    }

    #[test]
    fn no_default_is_nothing_and_a_new_table_needs_no_wait() {
        assert_eq!(steps(&users(), "ALTER TABLE users ALTER id DROP DEFAULT"), "");
        let shown = steps(&users(), "CREATE TABLE n (a int DEFAULT 1); ALTER TABLE n ALTER a DROP DEFAULT");
        assert!(shown.ends_with("expand: ALTER TABLE public.n ALTER COLUMN a DROP DEFAULT\n"), "{shown}");
    }
}
