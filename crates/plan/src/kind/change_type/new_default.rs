//! The default of a column that changes its type.

use crate::catalog::Column;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::change_type::ChangeType;
use crate::kind::drop_default::DropDefault;
use crate::kind::set_default::SetDefault;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::cast::{self, Assignment};
use crate::plan::Step;

/// What a file says of it, in the statements around the change or in its own.
#[derive(Clone, Debug, Default)]
pub enum NewDefault {
    /// Nothing: it is cast to the new type.
    #[default]
    Kept,
    /// It is dropped before, and none is set.
    Dropped(DropDefault),
    /// It is set after, dropped before or not.
    Set(SetDefault),
}

impl NewDefault {
    /// The kind that would change it alone.
    pub(super) fn kind(&self) -> Option<&dyn Kind> {
        match self {
            Self::Kept => None,
            Self::Dropped(drop) => Some(drop),
            Self::Set(set) => Some(set),
        }
    }
}

impl ChangeType {
    /// The column's default once its type is changed.
    pub(super) fn default_after<'a>(&'a self, column: &'a Column) -> Option<&'a str> {
        match &self.default {
            NewDefault::Kept => column.default.as_deref(),
            NewDefault::Dropped(_) => None,
            NewDefault::Set(set) => Some(&set.default.text),
        }
    }

    /// Source: `ATExecColumnDefault` and `ATExecAlterColumnType` in src/backend/commands/tablecmds.c.
    pub(super) fn default_fails(&self, column: &Column) -> Result<(), WillFail> {
        let (name, on) = (&self.column, &self.table);
        if !matches!(self.default, NewDefault::Kept)
            && (column.identity.is_some() || column.generated.is_some())
        {
            return Err(WillFail::new(
                "42601",
                format!("column {name} of {on} is a generated or an identity column"),
                "leave its default out, or drop the identity or the expression first",
            ));
        }
        match (&self.default, &column.default) {
            (NewDefault::Kept, Some(default)) if cast::never_assigned(&column.data_type, &self.data_type) => {
                Err(WillFail::new(
                    "42804",
                    format!(
                        "the default of {name} of {on}, {default}, cannot be cast to {} by itself",
                        self.data_type
                    ),
                    "drop the default before the change, and set a new one after it: the same file or statement may do both",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The swap would fail in its middle if the default were of no use to the new type.
    pub(super) fn default_fits(&self, column: &Column) -> Result<(), Refusal> {
        match (&self.default, &column.default) {
            (NewDefault::Kept, Some(default))
                if cast::assigned(&column.data_type, &self.data_type) == Assignment::Unknown =>
            {
                Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "it is not known whether the default of {} of {}, {default}, can be one of type {}",
                        self.column, self.table, self.data_type
                    ),
                    "drop the default before the change, and set the new one after it: the same file or statement may do both",
                ))
            }
            _ => Ok(()),
        }
    }

    /// A change that stays in place, then the default by itself.
    pub(super) fn with_default(&self, ctx: &Ctx, alter: Step) -> Result<Online, Refusal> {
        let Some(kind) = self.default.kind() else {
            return Ok(Online { steps: vec![alter], notices: Vec::new() });
        };
        let retyped: Vec<Effect> = alter
            .provides
            .iter()
            .filter(|effect| !matches!(effect, Effect::Default { .. }))
            .cloned()
            .collect();
        let (logical, physical) = (fold(ctx.logical, &retyped), fold(ctx.physical, &retyped));
        let mut online = kind.online(&Ctx { logical: &logical, physical: &physical, ..*ctx })?;
        online.steps.insert(0, Step { provides: retyped, ..alter });
        Ok(online)
    }
}
