//! Why a command failed: what happened, what state things are in now, what to do next. The kind of error decides the
//! exit code; [`crate::render::failure`] prints it.

use concertina_plan::diagnostic::Diagnostic;
use concertina_plan::rights::Missing;
use concertina_run::Error;

use crate::exit_code::ExitCode;

/// A command that did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// Kind.
    pub code: ExitCode,
    /// What happened, to which object.
    pub message: String,
    /// What state things are in now, and what to do next.
    pub hint: Option<String>,
    /// What the server answered.
    pub sqlstate: Option<Box<str>>,
    /// Rows that violate a constraint: a few of them.
    pub rows: Box<[String]>,
    /// Rights that are missing, with the statements that give them.
    pub missing_rights: Box<[Missing]>,
    /// Why statements were refused.
    pub refusal: Option<Box<Refusal>>,
    /// What a step needs on the server's disk, and what is there.
    pub shortage: Option<Box<Shortage>>,
}

/// A step for which the server's disk has too little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Number in the plan, from 1.
    pub step: usize,
    /// Bytes that must be free.
    pub need: u64,
    /// Bytes that are.
    pub have: u64,
}

/// Refused statements, with the text they stand in.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Migration.
    pub migration: String,
    /// Where to point: the file's path when it is known, else the migration's name.
    pub origin: String,
    /// The file's text.
    pub text: String,
    /// One or more; spans are bytes of `text`.
    pub diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// A failure that is fully said by its message.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            sqlstate: None,
            rows: Box::default(),
            missing_rights: Box::default(),
            refusal: None,
            shortage: None,
        }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// A migration file is not what it should be.
    pub fn file(message: impl Into<String>) -> Self {
        Self::new(ExitCode::File, message)
    }

    /// The role lacks a right. PostgreSQL's own code for it goes along, whether it was asked or not.
    fn lacking(message: String) -> Self {
        Self { sqlstate: Some(INSUFFICIENT_PRIVILEGE.into()), ..Self::new(ExitCode::Privilege, message) }
    }

    /// Nobody foresaw this.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Unexpected, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `disk_full`. Source: doc/src/sgml/errcodes (Appendix A, "PostgreSQL Error Codes").
const DISK_FULL: &str = "53100";

/// `insufficient_privilege`.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

const THEN_AGAIN: &str = "Then run the same command again.";

const GOES_ON: &str = "What was finished stays finished; the same command goes on from there. `concertina status` shows how far it is.";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Connection { .. } => Self::new(ExitCode::Connection, message).hint(
                "Check --database, DATABASE_URL or the PG* variables. If the connection was lost in the middle of a run, \
                 the same command goes on from there.",
            ),
            // Our own statements need rights too, and one may be taken away while a command runs.
            Error::Sql { sqlstate, .. } if sqlstate == INSUFFICIENT_PRIVILEGE => Self::lacking(message)
                .hint(format!("docs/rights.md lists what the role needs. {THEN_AGAIN} {GOES_ON}")),
            Error::Denied { missing, hint, .. } => {
                Self { missing_rights: missing.into(), ..Self::lacking(message).hint(hint) }
            }
            Error::Sql { sqlstate, .. } => Self {
                sqlstate: Some(sqlstate.into()),
                ..Self::new(ExitCode::StepFailed, message).hint(GOES_ON)
            },
            Error::Privilege { what, grant } => {
                // Only the first line is a statement; another may follow in words.
                let grant = grant.lines().next().unwrap_or_default().to_owned();
                let missing_rights = Box::new([Missing { what, grant }]);
                Self { missing_rights, ..Self::lacking(message).hint(THEN_AGAIN) }
            }
            Error::Rights { missing, migration } => Self {
                missing_rights: missing.into(),
                ..Self::lacking(message)
                    .hint(format!("Nothing more of {migration} was run. {THEN_AGAIN}"))
            },
            Error::Refused { migration, diagnostics, text } => Self {
                refusal: Some(Box::new(Refusal { origin: migration.clone(), migration, text, diagnostics })),
                ..Self::new(ExitCode::Refused, message).hint("Nothing of this migration was run.")
            },
            Error::File { .. } => Self::new(ExitCode::File, message),
            Error::Violated { violation, rows, hint } => {
                Self { rows: rows.into(), ..Self::new(ExitCode::Violated, violation).hint(hint) }
            }
            Error::NoRoom { step, need, have, hint, .. } => Self {
                shortage: Some(Box::new(Shortage { step, need, have })),
                ..Self::new(ExitCode::NoRoom, message).hint(hint)
            },
            // The server met the end of its disk before anybody saw it coming.
            Error::Step { sqlstate, hint, .. } if sqlstate == DISK_FULL => Self {
                sqlstate: Some(sqlstate.into()),
                ..Self::new(ExitCode::NoRoom, message).hint(hint)
            },
            Error::Step { sqlstate, hint, .. } => Self {
                sqlstate: (sqlstate != "-----").then(|| sqlstate.into()),
                ..Self::new(ExitCode::StepFailed, message).hint(hint)
            },
            Error::GaveWay { .. } => Self::new(ExitCode::GaveWay, message).hint(GOES_ON),
            Error::Busy { .. } => {
                Self::new(ExitCode::Busy, message).hint("Wait until it is done; without --no-wait this command waits by itself.")
            }
            Error::Fenced => Self::new(ExitCode::Busy, message)
                .hint("The other runner goes on where this one stopped. `concertina status` shows how far it is."),
            Error::Interrupted => Self::new(ExitCode::Interrupted, message)
                .hint("`concertina status` shows how far it is; `concertina undo` goes back instead."),
            Error::Load { sqlstate, .. } => Self {
                sqlstate: Some(sqlstate.into()),
                ..Self::new(ExitCode::StepFailed, message).hint(
                    "What the dump needs must be there before: extensions, roles that policies name, an equal or newer PostgreSQL. \
                     Then begin again with an empty database.",
                )
            },
            Error::NotEmpty { .. } => Self::new(ExitCode::Usage, message).hint(
                "Nothing was done. `check` fills the database that it is given: make an empty one for it (createdb), and drop it afterwards.",
            ),
            Error::InFlight { .. } => Self::new(ExitCode::InFlight, message),
            Error::Blocked { hint, .. } => Self::new(ExitCode::Blocked, message).hint(hint),
            Error::Archives { .. } => Self::new(ExitCode::NotConfirmed, message).hint(
                "They hold the only copy of it. Run it on a terminal to be asked, or with --yes. Nothing was removed.",
            ),
            Error::NotConfirmed { .. } => Self::new(ExitCode::NotConfirmed, message)
                .hint("Run it on a terminal to be asked, or with --yes. Nothing was removed."),
            Error::CannotUndo { .. } => Self::new(ExitCode::CannotUndo, message),
            Error::Ledger { .. } => Self::new(ExitCode::Ledger, message),
            Error::Unsupported { .. } => Self::new(ExitCode::Unsupported, message),
            // The library may learn new ways to fail before this program does.
            _ => Self::unexpected(message),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::unexpected(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_error_decides_the_code() {
        let text = String::new;
        let check = |error: Error, code: ExitCode| assert_eq!(Failure::from(error).code, code);
        check(Error::Connection { message: text() }, ExitCode::Connection);
        check(Error::Privilege { what: text(), grant: text() }, ExitCode::Privilege);
        check(Error::Rights { migration: text(), missing: Vec::new() }, ExitCode::Privilege);
        let (place, message, missing, hint) = (text(), text(), Vec::new(), text());
        check(Error::Denied { place, message, missing, hint }, ExitCode::Privilege);
        let denied = Error::Sql { doing: text(), sqlstate: "42501".into(), message: text() };
        check(denied, ExitCode::Privilege);
        check(Error::Refused { migration: text(), diagnostics: Vec::new(), text: text() }, ExitCode::Refused);
        check(Error::File { message: text() }, ExitCode::File);
        check(Error::GaveWay { message: text() }, ExitCode::GaveWay);
        check(Error::Busy { holder: text() }, ExitCode::Busy);
        check(Error::Fenced, ExitCode::Busy);
        check(Error::Interrupted, ExitCode::Interrupted);
        check(Error::NotConfirmed { migration: text(), what: text() }, ExitCode::NotConfirmed);
        check(Error::NotEmpty { database: text(), found: Vec::new() }, ExitCode::Usage);
        check(Error::InFlight { message: text() }, ExitCode::InFlight);
        let (migration, what, hint) = (text(), text(), text());
        check(Error::Blocked { migration, command: "undo", what, hint }, ExitCode::Blocked);
        check(Error::Archives { archives: Vec::new() }, ExitCode::NotConfirmed);
        check(Error::CannotUndo { migration: text(), why: text() }, ExitCode::CannotUndo);
        check(Error::Ledger { message: text() }, ExitCode::Ledger);
        check(Error::Unsupported { message: text() }, ExitCode::Unsupported);
    }

    #[test]
    fn the_sqlstate_survives_and_an_absent_one_is_not_shown() {
        let step = |sqlstate: &str| {
            Failure::from(Error::Step {
                step: 3,
                title: "Build index".into(),
                sqlstate: sqlstate.into(),
                message: "no".into(),
                hint: "look".into(),
            })
        };
        assert_eq!(step("23505").sqlstate.as_deref(), Some("23505"));
        assert_eq!(step("-----").sqlstate, None);
        assert_eq!(step("23505").code, ExitCode::StepFailed);
        assert_eq!(step("53100").code, ExitCode::NoRoom);
    }
}
