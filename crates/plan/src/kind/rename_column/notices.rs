//! What clients feel of two columns, and when.

use crate::catalog::{Column, DependentKind, Relation};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::batch;
use crate::kind::shared::mirror::{self, Mirror};

use super::RenameColumn;

impl RenameColumn {
    pub(super) fn notices(
        &self,
        ctx: &Ctx,
        table: &Relation,
        column: &Column,
        mirror: &Mirror,
    ) -> Vec<(Code, String)> {
        let (old, new, name) = (&self.column, &self.to, &self.table);
        let mut notices = vec![
            (
                Code::Announce,
                format!(
                    "COPY {name} without a column list, INSERT … SELECT * and prepared SELECT * notice the second column {new} of \
                     {name}"
                ),
            ),
            (
                Code::Announce,
                format!(
                    "new code may name {new} of {name} once expand is done, not before; until contract a write of {old} also \
                     sets {new}, and the other way round; where one statement gives them different values, {new} counts, and \
                     `status` says how many updates of rows did"
                ),
            ),
        ];
        let fires =
            |relation: &&Relation| relation.triggers.iter().any(|trigger| trigger.update_of.contains(old));
        if ctx.logical.tree(name).iter().any(fires) {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, triggers of {name} on UPDATE OF {old} do not fire for statements that name only {new}"
                ),
            ));
        }
        if column.default.is_some() && column.not_null.is_none() && mirror.default().is_none() {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, a new row for which new code writes an explicit NULL into {new} of {name} gets the default of \
                     {old}: the trigger cannot tell it from a row that leaves it out"
                ),
            ));
        }
        if mirror.takes_turns() {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, {old} and {new} of {name} are both unique; writers of one new key take turns by an advisory \
                     lock, so that upserts on either column do not fail on the other; a transaction that writes more than {} new \
                     keys takes no more locks, and an upsert of its others that meets another of the same key may fail (23505), as may \
                     upserts that wait for one transaction that takes their key away",
                    mirror::TURNS
                ),
            ));
        } else if ctx
            .logical
            .tree(name)
            .iter()
            .flat_map(|t| &t.indexes)
            .any(|i| i.unique && i.uses.contains(old))
        {
            notices.push((
                Code::Breaks,
                format!(
                    "until contract, {old} and {new} of {name} are both unique: an upsert on one of them may fail on the other \
                     (23505) where two writers bring the same new key at once"
                ),
            ));
        }
        let published = |relation: &&Relation| {
            relation.dependents.iter().any(|d| d.kind == DependentKind::Publication && d.column.is_none())
        };
        if ctx.logical.tree(name).iter().any(published) {
            notices.push((
                Code::Breaks,
                format!(
                    "{name} is published: subscribers need column {new} before expand, as with ADD COLUMN"
                ),
            ));
        }
        notices.extend(batch::trigger_notices(ctx, table, new));
        notices.push((
            Code::Breaks,
            format!("at contract: running code that names {old} of {name} fails (42703)"),
        ));
        notices
    }
}
