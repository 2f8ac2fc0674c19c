//! The logical IR: what the user asked for. Made by [`crate::sql`], joined by [`crate::combine`], planned by
//! [`crate::kind`].

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::effect::Effect;
use crate::kind::Kind;
use crate::kind::add_check::AddCheck;
use crate::kind::add_column::AddColumn;
use crate::kind::add_foreign_key::AddForeignKey;
use crate::kind::add_primary_key::AddPrimaryKey;
use crate::kind::add_unique::AddUnique;
use crate::kind::as_written::AsWritten;
use crate::kind::attach_partition::AttachPartition;
use crate::kind::change_type::ChangeType;
use crate::kind::create_index::CreateIndex;
use crate::kind::create_table::CreateTable;
use crate::kind::create_trigger::CreateTrigger;
use crate::kind::delete_table::DeleteTable;
use crate::kind::detach_partition::DetachPartition;
use crate::kind::drop_column::DropColumn;
use crate::kind::drop_constraint::DropConstraint;
use crate::kind::drop_default::DropDefault;
use crate::kind::drop_index::DropIndex;
use crate::kind::drop_not_null::DropNotNull;
use crate::kind::drop_object::DropObject;
use crate::kind::drop_table::DropTable;
use crate::kind::drop_trigger::DropTrigger;
use crate::kind::drop_view::DropView;
use crate::kind::enable_trigger::EnableTrigger;
use crate::kind::identity::ChangeIdentity;
use crate::kind::policy::ChangePolicy;
use crate::kind::reindex::Reindex;
use crate::kind::rename_column::RenameColumn;
use crate::kind::rename_part::RenamePart;
use crate::kind::rename_table::RenameTable;
use crate::kind::replace::Replace;
use crate::kind::row_security::RowSecurity;
use crate::kind::rule::ChangeRule;
use crate::kind::set_default::SetDefault;
use crate::kind::set_not_null::SetNotNull;
use crate::kind::update_table::UpdateTable;
use crate::sql::directive::Directives;

/// One statement of a file.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Bytes of the file, without surrounding comments and the semicolon.
    pub span: Range<usize>,
    /// Line of `span.start`, from 1.
    pub line: usize,
    /// Source text of `span`.
    pub sql: String,
    /// Directives bound to it.
    pub directives: Directives,
    /// What it asks for, in the order of its subcommands; or why it is refused.
    pub changes: Result<Vec<Change>, Diagnostic>,
    /// What a refused statement would certainly do: what follows it is judged as if it had run.
    pub refused_effects: Vec<Effect>,
    /// Changes that were combined into an earlier statement: planned there, but here they still say what the statement does
    /// as written.
    pub absorbed: Vec<Change>,
}

/// One thing asked for. A closed set: a new kind is one file in `kind/`, one variant here, one arm in `sql/lower`.
#[expect(clippy::large_enum_variant, reason = "there are few of them, and a box would only stand in the way")]
#[derive(Clone, Debug)]
pub enum Change {
    /// CREATE TABLE
    CreateTable(CreateTable),
    /// ALTER TABLE … ADD COLUMN, alone or with the UPDATE and SET NOT NULL that make it a derived column
    AddColumn(AddColumn),
    /// CREATE INDEX
    CreateIndex(CreateIndex),
    /// CREATE TRIGGER on a table that is in use
    CreateTrigger(CreateTrigger),
    /// ALTER COLUMN … TYPE
    ChangeType(ChangeType),
    /// RENAME COLUMN
    RenameColumn(RenameColumn),
    /// DROP and CREATE of one view, trigger or function, joined
    Replace(Replace),
    /// DROP INDEX
    DropIndex(DropIndex),
    /// ADD CHECK
    AddCheck(AddCheck),
    /// ADD FOREIGN KEY
    AddForeignKey(AddForeignKey),
    /// ADD PRIMARY KEY
    AddPrimaryKey(AddPrimaryKey),
    /// ADD UNIQUE
    AddUnique(AddUnique),
    /// ALTER COLUMN … SET NOT NULL
    SetNotNull(SetNotNull),
    /// ALTER COLUMN … DROP NOT NULL
    DropNotNull(DropNotNull),
    /// ALTER COLUMN … SET DEFAULT
    SetDefault(SetDefault),
    /// ALTER COLUMN … DROP DEFAULT
    DropDefault(DropDefault),
    /// ATTACH PARTITION
    AttachPartition(AttachPartition),
    /// DETACH PARTITION
    DetachPartition(DetachPartition),
    /// REINDEX of an index or a table
    Reindex(Reindex),
    /// CREATE, ALTER and DROP POLICY
    Policy(ChangePolicy),
    /// CREATE and DROP RULE
    Rule(ChangeRule),
    /// ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY
    RowSecurity(RowSecurity),
    /// UPDATE of a whole table
    UpdateTable(UpdateTable),
    /// DELETE over a whole table
    DeleteTable(DeleteTable),
    /// DROP COLUMN
    DropColumn(DropColumn),
    /// DROP CONSTRAINT
    DropConstraint(DropConstraint),
    /// DROP TABLE, a table each
    DropTable(DropTable),
    /// DROP VIEW and DROP MATERIALIZED VIEW, a view each
    DropView(DropView),
    /// DROP TRIGGER
    DropTrigger(DropTrigger),
    /// ENABLE and DISABLE TRIGGER
    EnableTrigger(EnableTrigger),
    /// DROP FUNCTION, TYPE, SEQUENCE and their like, an object each
    DropObject(DropObject),
    /// RENAME and SET SCHEMA of what is queried like a table
    RenameTable(RenameTable),
    /// ADD GENERATED … AS IDENTITY, SET GENERATED, DROP IDENTITY
    ChangeIdentity(ChangeIdentity),
    /// RENAME of what belongs to a table
    RenamePart(RenamePart),
    /// Whatever is online as it stands, or was allowed
    AsWritten(AsWritten),
}

impl Change {
    /// Where it was absorbed into another statement: whether it still takes effect at its own place. What an ADD COLUMN or a change
    /// of type takes in takes effect there.
    pub fn takes_effect_here(&self) -> bool {
        !matches!(
            self,
            Self::UpdateTable(_) | Self::SetNotNull(_) | Self::SetDefault(_) | Self::DropDefault(_)
        )
    }

    /// The kind that plans it.
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::CreateTable(kind) => kind,
            Self::AddColumn(kind) => kind,
            Self::CreateIndex(kind) => kind,
            Self::CreateTrigger(kind) => kind,
            Self::ChangeType(kind) => kind,
            Self::RenameColumn(kind) => kind,
            Self::Replace(kind) => kind,
            Self::DropIndex(kind) => kind,
            Self::AddCheck(kind) => kind,
            Self::AddForeignKey(kind) => kind,
            Self::AddPrimaryKey(kind) => kind,
            Self::AddUnique(kind) => kind,
            Self::SetNotNull(kind) => kind,
            Self::DropNotNull(kind) => kind,
            Self::SetDefault(kind) => kind,
            Self::DropDefault(kind) => kind,
            Self::AttachPartition(kind) => kind,
            Self::DetachPartition(kind) => kind,
            Self::Reindex(kind) => kind,
            Self::Policy(kind) => kind,
            Self::Rule(kind) => kind,
            Self::RowSecurity(kind) => kind,
            Self::UpdateTable(kind) => kind,
            Self::DeleteTable(kind) => kind,
            Self::DropColumn(kind) => kind,
            Self::DropConstraint(kind) => kind,
            Self::DropTable(kind) => kind,
            Self::DropView(kind) => kind,
            Self::DropTrigger(kind) => kind,
            Self::EnableTrigger(kind) => kind,
            Self::DropObject(kind) => kind,
            Self::RenameTable(kind) => kind,
            Self::RenamePart(kind) => kind,
            Self::ChangeIdentity(kind) => kind,
            Self::AsWritten(kind) => kind,
        }
    }
}
