//! ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY: enabling hides rows and is left for contract; disabling shows them
//! and comes at once.
//!
//! With row security a table's statements see and write only rows that its policies let through, and none at all where it has
//! no policy; there is no error that would tell old code. FORCE holds its owner to the same. `enforce-now` enables it in
//! expand. Undo sets it as it was.
//!
//! Source: doc/src/sgml/ddl.sgml, "Row Security Policies".

use crate::catalog::Relation;
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Step};
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct RowSecurity {
    /// Table.
    pub table: Name,
    /// Which of the two switches.
    pub switch: Switch,
    /// On or off.
    pub on: bool,
}

/// The switches of row security.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// ENABLE, DISABLE
    Enabled,
    /// FORCE, NO FORCE
    Forced,
}

impl Kind for RowSecurity {
    fn name(&self) -> &'static str {
        if self.on { "enable_row_security" } else { "disable_row_security" }
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        let early = !self.on || table.new_here || ctx.directives.enforce_now.is_some();
        let phase = if early { Phase::Expand } else { Phase::Contract };
        let why = match (self.on, phase) {
            (true, Phase::Contract) => {
                "running code may count on the rows that it sees and writes until then"
            }
            (true, _) if table.new_here => "the table is new: nobody uses it yet",
            (true, _) => "enforce-now",
            (false, _) => "it only shows more rows than before",
        };
        let word = self.word(self.on);
        let mut step = Step::transaction(
            phase,
            format!("{} row level security of {}", capital(word), self.table),
            why,
            vec![ddl::policy::row_security(&self.table, word)],
        )
        .lock(&self.table, LockMode::AccessExclusive)
        .requires(Need::Relation(self.table.clone()));
        step.provides = self.effects(ctx);
        if self.is(table) != self.on {
            let word = self.word(!self.on);
            let back = Step::transaction(
                phase,
                format!("{} row level security of {} again", capital(word), self.table),
                "as it was",
                vec![ddl::policy::row_security(&self.table, word)],
            )
            .lock(&self.table, LockMode::AccessExclusive)
            .provides(Effect::RowSecurity {
                table: self.table.clone(),
                enabled: table.row_security,
                forced: table.row_security_forced,
            });
            step = step.undone_by(vec![back]);
        }
        let notices = match table.new_here {
            true => Vec::new(),
            false => vec![(Code::Announce, format!("from {} on: {}", phase.as_str(), self.felt()))],
        };
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let Some(table) = ctx.logical.relation(&self.table) else { return Vec::new() };
        let (enabled, forced) = match self.switch {
            Switch::Enabled => (self.on, table.row_security_forced),
            Switch::Forced => (table.row_security, self.on),
        };
        vec![Effect::RowSecurity { table: self.table.clone(), enabled, forced }]
    }
}

impl RowSecurity {
    fn is(&self, table: &Relation) -> bool {
        match self.switch {
            Switch::Enabled => table.row_security,
            Switch::Forced => table.row_security_forced,
        }
    }

    fn word(&self, on: bool) -> &'static str {
        match (self.switch, on) {
            (Switch::Enabled, true) => "ENABLE",
            (Switch::Enabled, false) => "DISABLE",
            (Switch::Forced, true) => "FORCE",
            (Switch::Forced, false) => "NO FORCE",
        }
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        alter::table(ctx, &self.table)
    }

    fn felt(&self) -> String {
        let (table, who) = (
            &self.table,
            match self.switch {
                Switch::Enabled => "whoever does not own it",
                Switch::Forced => "its owner, too,",
            },
        );
        match self.on {
            true => format!("{who} sees and writes only those rows of {table} that its policies let through"),
            false => format!("{who} sees and writes rows of {table} whatever its policies say"),
        }
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::show;

    #[test]
    fn enabling_waits_and_disabling_does_not() {
        let off = "CREATE TABLE t (id int)";
        let on = "CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY";
        for (schema, sql, shown) in [
            (
                off,
                "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
                "contract: ALTER TABLE public.t ENABLE ROW LEVEL SECURITY\n",
            ),
            (
                off,
                "ALTER TABLE t FORCE ROW LEVEL SECURITY",
                "contract: ALTER TABLE public.t FORCE ROW LEVEL SECURITY\n",
            ),
            (
                on,
                "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
                "expand: ALTER TABLE public.t DISABLE ROW LEVEL SECURITY\n",
            ),
            (
                off,
                "-- concertina:enforce-now reason: a leak\nALTER TABLE t ENABLE ROW LEVEL SECURITY",
                "expand: ALTER TABLE public.t ENABLE ROW LEVEL SECURITY\n",
            ),
        ] {
            assert_eq!(show(&plan(&catalog(schema), sql)), shown, "{sql}");
        }
    }

    #[test]
    fn policies_come_before_what_they_let_through() {
        let sql = "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true)";
        let shown = show(&plan(&catalog("CREATE TABLE t (id int)"), sql));
        assert!(shown.starts_with("expand: CREATE POLICY"), "{shown}");
    }
}
