//! ADD GENERATED … AS IDENTITY, SET GENERATED and DROP IDENTITY: what loosens at once, what tightens at contract.
//!
//! GENERATED ALWAYS rejects values that code writes itself (428C9), BY DEFAULT takes them. So a column becomes BY DEFAULT in
//! expand, and ALWAYS at contract, when old code that writes it is gone; DROP IDENTITY first makes it BY DEFAULT, so that new
//! code may write the column itself, and drops the identity at contract, when old code that leaves it out is gone. Where its
//! sequence stood is kept in the archive, and undo goes on from there.

use crate::catalog::{Column, Identity, Relation, RelationKind, Sequence};
use crate::ddl;
use crate::ddl::moved::ARCHIVE;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Archived, Facts, LockClaim, Need, Noun, Phase, Step, Undo};
use crate::sql::ident::{Ident, Name};
use crate::sql::names::Namer;

/// See the module.
#[derive(Clone, Debug)]
pub struct ChangeIdentity {
    /// Kind name: `add_identity`, `set_identity` or `drop_identity`.
    pub kind: &'static str,
    /// Table; it exists.
    pub table: Name,
    /// Column; it exists.
    pub column: Ident,
    /// What becomes of it.
    pub to: To,
}

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// An identity column, with the sequence options as written, parentheses included.
    Added(Identity, String),
    /// An identity column of another sort.
    Set(Identity),
    /// An ordinary column.
    Dropped,
}

impl Kind for ChangeIdentity {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = self.check(ctx).err();
        Facts {
            locks: match self.to {
                To::Added(..) => self.locks(ctx),
                To::Set(_) | To::Dropped => self.locks_with_sequence(ctx),
            },
            transaction: true,
            breaks: self.felt().into_iter().collect(),
            fails: fails.map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        alter::planned(table)?;
        if table.kind == RelationKind::PartitionedTable {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "{} is partitioned, and identity columns over partitions are not planned yet",
                    self.table
                ),
                "run the statement as written with `-- concertina:allow not-yet reason: …`",
            ));
        }
        let late = if table.new_here { Phase::Expand } else { Phase::Contract };
        let mut notices = Vec::new();
        if late == Phase::Contract
            && let Some(felt) = self.felt()
        {
            notices.push((Code::Breaks, format!("at contract: {felt}")));
        }
        let steps = match &self.to {
            To::Added(identity, options) => {
                self.refuse_default(ctx)?;
                notices.push((
                    Code::Breaks,
                    format!(
                        "the sequence of {} begins as the statement says, whatever values {} has: whoever leaves the column out may \
                         meet one that is taken (23505) until the sequence is beyond them",
                        self.column, self.table
                    ),
                ));
                let mut steps = vec![self.add(ctx, options)];
                if *identity == Identity::Always {
                    steps.push(self.set(ctx, late, Identity::Always, Identity::ByDefault));
                }
                steps
            }
            To::Set(identity) => match (column.identity, identity) {
                (Some(now), after) if now == *after => {
                    let said =
                        format!("column {} of {} is so already: nothing is done", self.column, self.table);
                    return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
                }
                (_, Identity::ByDefault) => {
                    vec![self.set(ctx, Phase::Expand, Identity::ByDefault, Identity::Always)]
                }
                (_, Identity::Always) => vec![self.set(ctx, late, Identity::Always, Identity::ByDefault)],
            },
            To::Dropped => {
                let mut steps = Vec::new();
                if column.identity == Some(Identity::Always) && !table.new_here {
                    steps.push(self.set(ctx, Phase::Expand, Identity::ByDefault, Identity::Always));
                }
                steps.push(self.drop(ctx, late, table.new_here)?);
                if !table.new_here {
                    let said = format!(
                        "after contract, undo brings the sequence of {} back without its privileges and comment",
                        self.column
                    );
                    notices.push((Code::UndoLoses, said));
                }
                steps
            }
        };
        Ok(Online { steps, notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        match &self.to {
            To::Added(identity, _) => {
                vec![self.effect(Some(*identity)), Effect::Sequence(self.new_sequence(ctx))]
            }
            To::Set(identity) => vec![self.effect(Some(*identity))],
            To::Dropped => {
                let gone = self.sequence(ctx).map(|sequence| Effect::SequenceGone(sequence.name));
                std::iter::once(self.effect(None)).chain(gone).collect()
            }
        }
    }
}

impl ChangeIdentity {
    /// Source: `ATExecAddIdentity`, `ATExecSetIdentity` and `ATExecDropIdentity` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        let fails = |what: &str, way_out: &str| {
            Err(WillFail::new("55000", format!("column {} of {} {what}", self.column, self.table), way_out))
        };
        match (&self.to, column.identity) {
            (To::Added(..), Some(_)) => fails("is an identity column already", "write SET GENERATED"),
            (To::Added(..), None) if column.not_null.is_none() => fails(
                "may be NULL, which an identity column may not",
                "write SET NOT NULL before it, in a file of its own",
            ),
            (To::Added(..), None) if column.default.is_some() => {
                fails("has a default, which an identity column may not", "drop the default first")
            }
            (To::Set(_) | To::Dropped, None) => fails("is no identity column", "correct the column's name"),
            _ => Ok((table, column)),
        }
    }

    /// The default goes at contract: until then the column cannot become an identity column.
    fn refuse_default(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let there = ctx.physical.relation(&self.table).and_then(|table| table.column(&self.column));
        if there.is_none_or(|column| column.default.is_none()) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::SplitFile,
            format!(
                "the default of {} goes at contract, since old code counts on it, and with a default the column cannot become an \
                 identity column",
                self.column
            ),
            "a serial column draws its numbers like GENERATED BY DEFAULT AS IDENTITY: leave it, or allow the two as one ALTER TABLE",
        ))
    }

    fn effect(&self, identity: Option<Identity>) -> Effect {
        Effect::Identity { table: self.table.clone(), column: self.column.clone(), identity }
    }

    fn add(&self, ctx: &Ctx, options: &str) -> Step {
        let sequence = self.new_sequence(ctx);
        let back = Step::transaction(
            Phase::Expand,
            format!("Make column {} of {} an ordinary column", self.column, self.table),
            "takes back the identity",
            vec![ddl::column::drop_identity(&self.table, &self.column)],
        )
        .locks(self.locks(ctx))
        .lock(&sequence.name, LockMode::AccessExclusive)
        .provides(self.effect(None))
        .provides(Effect::SequenceGone(sequence.name.clone()));
        Step::transaction(
            Phase::Expand,
            format!("Make column {} of {} an identity column", self.column, self.table),
            "BY DEFAULT takes the values that running code writes itself",
            vec![ddl::column::add_identity(&self.table, &self.column, Identity::ByDefault, options)],
        )
        .locks(self.locks(ctx))
        .requires(Need::Column(self.table.clone(), self.column.clone()))
        .requires(Need::NoRelation(sequence.name.clone()))
        .provides(self.effect(Some(Identity::ByDefault)))
        .provides(Effect::Sequence(sequence))
        .undone_by(vec![back])
    }

    fn set(&self, ctx: &Ctx, phase: Phase, to: Identity, from: Identity) -> Step {
        let one = |identity: Identity, why: &str| {
            Step::transaction(
                phase,
                format!("Make identity column {} of {} {}", self.column, self.table, word(identity)),
                why,
                vec![ddl::column::set_identity(&self.table, &self.column, identity)],
            )
            .locks(self.locks_with_sequence(ctx))
            .provides(self.effect(Some(identity)))
        };
        let why = match to {
            Identity::Always => "code that writes the column itself fails from then on",
            Identity::ByDefault => "from then on code may write the column itself, or leave it out",
        };
        one(to, why).undone_by(vec![one(from, "takes it back")])
    }

    fn drop(&self, ctx: &Ctx, phase: Phase, new: bool) -> Result<Step, Refusal> {
        let (table, column) = (&self.table, &self.column);
        let Some(sequence) = self.sequence(ctx) else {
            return Err(Refusal::new(
                Code::NotYet,
                format!("the sequence of column {column} of {table} is not known"),
                "put the statement into a file of its own",
            ));
        };
        let mut step = Step::transaction(
            phase,
            format!("Make column {column} of {table} an ordinary column"),
            "code that leaves the column out counts on the identity until then",
            Vec::new(),
        )
        .locks(self.locks_with_sequence(ctx))
        .requires(Need::Column(table.clone(), column.clone()))
        .provides(self.effect(None))
        .provides(Effect::SequenceGone(sequence.name.clone()));
        let content = format!("archive {} identity {table}.{column}", ctx.migration);
        let kept = Name {
            schema: Ident::new(ARCHIVE),
            name: Ident::generated(sequence.name.name.as_str(), &content),
        };
        let drop = ddl::column::drop_identity(table, column);
        if new {
            step.undo = Undo::Nothing;
            step.action = Action::Transaction { sql: vec![drop] };
            return Ok(step);
        }
        step.action = Action::Transaction {
            sql: ddl::sequence::copy(&sequence.name, &kept).into_iter().chain([drop]).collect(),
        };
        let back = Step::transaction(
            Phase::Contract,
            format!("Make column {column} of {table} an identity column again"),
            "its sequence goes on where it stood",
            vec![
                ddl::sequence::identity_again(table, column, &sequence.name, &kept),
                ddl::sequence::go_on(table, column, &kept),
                ddl::sequence::drop(&kept),
            ],
        )
        .locks(self.locks(ctx))
        .provides(self.effect(Some(Identity::ByDefault)))
        .provides(Effect::Sequence(sequence.clone()));
        step.undo = Undo::Steps {
            steps: vec![back],
            loses: Some(format!("sequence {} without its privileges and comment", sequence.name)),
        };
        step.archived = vec![Archived {
            noun: Noun::Sequence,
            name: kept,
            of: format!("position of sequence {}", sequence.name),
        }];
        Ok(step)
    }

    /// The sequence that the column owns.
    fn sequence(&self, ctx: &Ctx) -> Option<Sequence> {
        ctx.logical.sequences_of_column(&self.table, &self.column).next().cloned()
    }

    fn new_sequence(&self, ctx: &Ctx) -> Sequence {
        let name = Namer::new(ctx.logical, &self.table.schema).sequence(&self.table.name, &self.column);
        Sequence { name: self.table.sibling(name), owned_by: Some((self.table.clone(), self.column.clone())) }
    }

    fn locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive)
    }

    /// SET writes the sequence's row under SHARE ROW EXCLUSIVE, DROP drops it. Measured on 14 to 18.
    fn locks_with_sequence(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let mut locks = self.locks(ctx);
        let sequence = self.sequence(ctx).unwrap_or_else(|| self.new_sequence(ctx));
        let mode = match self.to {
            To::Dropped => LockMode::AccessExclusive,
            To::Added(..) | To::Set(_) => LockMode::ShareRowExclusive,
        };
        locks.push(LockClaim { relation: sequence.name, mode });
        locks
    }

    fn felt(&self) -> Option<String> {
        let (table, column) = (&self.table, &self.column);
        match self.to {
            To::Added(Identity::Always, _) | To::Set(Identity::Always) => {
                Some(format!("running code that writes {column} of {table} itself fails (428C9)"))
            }
            To::Added(Identity::ByDefault, _) | To::Set(Identity::ByDefault) => None,
            To::Dropped => Some(format!("running code that leaves {column} of {table} out fails (23502)")),
        }
    }
}

fn word(identity: Identity) -> &'static str {
    match identity {
        Identity::Always => "GENERATED ALWAYS",
        Identity::ByDefault => "GENERATED BY DEFAULT",
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL GENERATED ALWAYS AS IDENTITY,
        d int NOT NULL GENERATED BY DEFAULT AS IDENTITY, n int, s int NOT NULL DEFAULT 1)";

    #[test]
    fn what_loosens_comes_first() {
        let shown = |sql| show(&plan(&catalog(SCHEMA), sql));
        let lines = |sql| shown(sql).lines().filter(|line| line.contains(": ALTER TABLE")).count();
        assert!(shown("ALTER TABLE t ALTER a SET GENERATED BY DEFAULT").starts_with("expand: "));
        assert!(shown("ALTER TABLE t ALTER d SET GENERATED ALWAYS").starts_with("contract: "));
        assert!(
            shown("ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 1001)")
                .contains("(START 1001)")
        );
        assert_eq!(lines("ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY"), 2);
        assert_eq!(lines("ALTER TABLE t ALTER a DROP IDENTITY"), 2);
        assert_eq!(lines("ALTER TABLE t ALTER d DROP IDENTITY"), 1);
        assert!(plan(&catalog(SCHEMA), "ALTER TABLE t ALTER d SET GENERATED BY DEFAULT").steps.is_empty());
    }

    #[test]
    fn what_cannot_be() {
        for (sql, code, says) in [
            ("ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", Code::WillFail, "already"),
            ("ALTER TABLE t ALTER n ADD GENERATED ALWAYS AS IDENTITY", Code::WillFail, "may be NULL"),
            ("ALTER TABLE t ALTER s ADD GENERATED ALWAYS AS IDENTITY", Code::WillFail, "has a default"),
            ("ALTER TABLE t ALTER n DROP IDENTITY", Code::WillFail, "no identity"),
            (
                "ALTER TABLE t ALTER s DROP DEFAULT, ALTER s ADD GENERATED ALWAYS AS IDENTITY",
                Code::SplitFile,
                "serial",
            ),
        ] {
            let (refused, said) = refused(&catalog(SCHEMA), sql);
            assert!(refused == code && said.contains(says), "{sql}: {said}");
        }
    }
}
