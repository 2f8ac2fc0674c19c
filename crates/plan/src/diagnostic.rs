//! Codes, diagnostics and refusals: one registry, shared by plan, lint, explain and `allow`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $slug:literal;)+) => {
        /// Why something is refused or announced. The slug is what `-- concertina:allow` names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $slug)] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Stable name.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            /// One paragraph for people.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+).trim_ascii()),+ }
            }
        }
    };
}

codes! {
    /// The text is not SQL that PostgreSQL accepts, or the file is not text.
    Syntax = "syntax";
    /// A `-- concertina:` comment is unknown, misplaced, malformed or unused.
    Directive = "directive";
    /// The statement names an object that does not exist, or makes one that does.
    WillFail = "will-fail";
    /// No way is known to do this online; what it would block, and for how long, is in the message.
    NoOnlineForm = "no-online-form";
    /// An online way is designed but not built yet.
    NotYet = "not-yet";
    /// The statement's effects cannot be known without running it (DO, CALL, dynamic SQL).
    Opaque = "opaque";
    /// The statement controls the transaction, the session or the server, not the schema.
    NotSchema = "not-schema";
    /// A whole-table UPDATE whose batches would not equal the one statement.
    NotBatchable = "not-batchable";
    /// Nothing says how what new code writes is carried back for old code.
    NoWayBack = "no-way-back";
    /// Only to be allowed: the change of type runs as written, which rewrites the table under ACCESS EXCLUSIVE.
    Rewrites = "rewrites";
    /// The table has no unique NOT NULL key to walk or to archive by.
    NoRowKey = "no-row-key";
    /// Existing code may still write rows that the new constraint rejects.
    Tightens = "tightens";
    /// Something depends on what would be dropped.
    HasDependents = "has-dependents";
    /// A statement needs what an earlier one of the same file delivers only at contract.
    SplitFile = "split-file";
    /// Another migration in flight claims the same object.
    Overlap = "overlap";
    /// Running code will notice, without error.
    Announce = "announce";
    /// Running code may see an error.
    Breaks = "breaks";
    /// Undo does not bring everything back.
    UndoLoses = "undo-loses";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl FromStr for Code {
    type Err = ();

    fn from_str(slug: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug).ok_or(())
    }
}

/// A kind's "no": why, and the way out. The pipeline adds where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which sort of no.
    pub code: Code,
    /// The reason, in one or two sentences, naming the object.
    pub reason: String,
    /// What to do instead.
    pub way_out: String,
}

impl Refusal {
    /// Makes one.
    pub fn new(code: Code, reason: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), way_out: way_out.into() }
    }
}

/// Something to tell about a place in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Which.
    pub code: Code,
    /// Bytes of the file it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Kind of the statement, when it was recognised: `rename_column`, `vacuum`.
    pub kind: Option<String>,
}
