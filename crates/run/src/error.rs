//! Errors a person can act on: what happened, to which object, what state things are in now, what to do next.

use std::error::Error as _;
use std::fmt::Write as _;

use concertina_plan::diagnostic::Diagnostic;
use concertina_plan::rights::Missing;
use tokio_postgres::error::SqlState;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, or it was lost and did not come back.
    #[error("cannot talk to PostgreSQL: {message}")]
    Connection {
        /// What happened, without secrets.
        message: String,
    },
    /// The server said no to something we run ourselves.
    #[error("{doing}: {message} ({sqlstate})")]
    Sql {
        /// What we were doing, naming the object.
        doing: String,
        /// SQLSTATE.
        sqlstate: String,
        /// Server message, with detail and hint.
        message: String,
    },
    /// A right is missing.
    #[error("{what} (42501)\n  run as an administrator: {grant}")]
    Privilege {
        /// What cannot be done.
        what: String,
        /// The exact GRANT.
        grant: String,
    },
    /// Rights are missing for a migration; nothing of it was run, or nothing more.
    #[error("the role lacks what {migration} needs (42501); run as an administrator:{}", listed(.missing))]
    Rights {
        /// Migration.
        migration: String,
        /// All of them.
        missing: Vec<Missing>,
    },
    /// The server refused what was run, for a right that nobody could ask for beforehand.
    #[error("{place}: {message} (42501){}", granting(.missing))]
    Denied {
        /// The step, or the file with its line.
        place: String,
        /// Server message, with detail and hint.
        message: String,
        /// What would give it, as far as that can be known.
        missing: Vec<Missing>,
        /// What state things are in and what to do.
        hint: String,
    },
    /// The migration cannot be planned.
    #[error("{} cannot be planned: {} statement{} refused", .migration, .diagnostics.len(), if .diagnostics.len() == 1 { "" } else { "s" })]
    Refused {
        /// Migration.
        migration: String,
        /// Why, per statement; spans are bytes of `text`.
        diagnostics: Vec<Diagnostic>,
        /// The file's text.
        text: String,
    },
    /// A migration file is changed, missing, late-numbered or otherwise not what the ledger knows.
    #[error("{message}")]
    File {
        /// What, and what to do.
        message: String,
    },
    /// The existing rows do not satisfy a constraint that the migration adds.
    #[error("{violation}: {}", .rows.join("; "))]
    Violated {
        /// "rows of app.users where email is null"
        violation: String,
        /// A few of them.
        rows: Vec<String>,
        /// What to do.
        hint: String,
    },
    /// A step failed in a way that trying again does not help.
    #[error("step {step} \"{title}\" failed: {message} ({sqlstate})")]
    Step {
        /// Index in the plan, from 1.
        step: usize,
        /// Title.
        title: String,
        /// SQLSTATE, or `-----` when the server sent none.
        sqlstate: String,
        /// Message.
        message: String,
        /// What state things are in and what to do.
        hint: String,
    },
    /// The stall budget or the patience ran out.
    #[error("gave way: {message}")]
    GaveWay {
        /// What was waited for, for how long, and what to do.
        message: String,
    },
    /// The server's disk has too little room for a step, or has come to that while it ran.
    #[error("{migration}, step {step} \"{title}\": {message}")]
    NoRoom {
        /// Migration.
        migration: String,
        /// Index in the plan, from 1.
        step: usize,
        /// Title.
        title: String,
        /// Bytes that must be free.
        need: u64,
        /// Bytes that are.
        have: u64,
        /// What is needed for what, what there is, and how that is known.
        message: String,
        /// What state things are in and what to do.
        hint: String,
    },
    /// Another runner holds the lease.
    #[error("another runner is at work: {holder}")]
    Busy {
        /// Who, since when.
        holder: String,
    },
    /// Our lease was taken over while we worked; nothing more was written.
    #[error("the lease was taken over by another runner; this one stops")]
    Fenced,
    /// Asked to stop (Ctrl-C, SIGTERM); stopped at a safe point.
    #[error("stopped at a safe point; the same command goes on from here")]
    Interrupted,
    /// A migration that is under way is in the way of what was asked for.
    #[error("{message}")]
    InFlight {
        /// Which, and what to do.
        message: String,
    },
    /// Something that was made meanwhile, or rows in quarantine, are in the way. Nothing was changed.
    #[error("{command} of {migration} is blocked: {what}")]
    Blocked {
        /// Migration.
        migration: String,
        /// `switch`, `contract`, `undo` or `quarantine set`.
        command: &'static str,
        /// What is in the way.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Contract would destroy data and was not confirmed.
    #[error("contract of {migration} removes data: {what}")]
    NotConfirmed {
        /// Migration.
        migration: String,
        /// Which.
        what: String,
    },
    /// Uninstall would remove archives, and that was not confirmed.
    #[error("uninstall removes archives of dropped data: {}", .archives.join("; "))]
    Archives {
        /// Names with sizes.
        archives: Vec<String>,
    },
    /// A dump could not be loaded into the database that is to be checked on.
    #[error("{place}: {message} ({sqlstate})")]
    Load {
        /// File and line.
        place: String,
        /// SQLSTATE.
        sqlstate: String,
        /// Server message, with detail and hint.
        message: String,
    },
    /// A database that must be empty is not.
    #[error("database {database} is not empty: it has {}", .found.join(", "))]
    NotEmpty {
        /// Its name.
        database: String,
        /// A few things in it.
        found: Vec<String>,
    },
    /// Undo is not possible from here.
    #[error("cannot undo {migration}: {why}")]
    CannotUndo {
        /// Migration.
        migration: String,
        /// Reason and what is possible instead.
        why: String,
    },
    /// The ledger is newer than this program, belongs to another database (a restored copy), or is damaged.
    #[error("{message}")]
    Ledger {
        /// What, and what to do.
        message: String,
    },
    /// A pooler in transaction mode, an unsupported server version, a standby.
    #[error("{message}")]
    Unsupported {
        /// What, and the way out.
        message: String,
    },
}

fn granting(missing: &[Missing]) -> String {
    match missing {
        [] => String::new(),
        missing => format!("\n  run as an administrator:{}", listed(missing)),
    }
}

fn listed(missing: &[Missing]) -> String {
    missing.iter().map(|missing| format!("\n  {missing}")).collect()
}

/// Why the server or the wire said no, as far as that decides what to do next.
/// Source: doc/src/sgml/errcodes (Appendix A, "PostgreSQL Error Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `55P03`: `lock_timeout` passed, or NOWAIT found a lock.
    LockTimeout,
    /// `40P01`
    Deadlock,
    /// `40001`
    Serialization,
    /// `57014`: cancelled by request, or `statement_timeout` passed.
    Canceled,
    /// `42501`
    Privilege,
    /// The session is gone, and with it what it had not committed. Whether a COMMIT under way took effect is unknown.
    ConnectionLost,
    /// Trying again does not help.
    Other,
}

impl Failure {
    /// What sort of failure this is.
    pub fn of(error: &tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) => Self::of_sqlstate(code.code()),
            None if error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()) => {
                Self::ConnectionLost
            }
            None => Self::Other,
        }
    }

    /// The same, by SQLSTATE.
    pub fn of_sqlstate(code: &str) -> Self {
        match code {
            "55P03" => Self::LockTimeout,
            "40P01" => Self::Deadlock,
            "40001" => Self::Serialization,
            "57014" => Self::Canceled,
            "42501" => Self::Privilege,
            // The session is ended by an administrator, a crash, or one of its own idle and transaction timeouts.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => Self::ConnectionLost,
            _ if code.starts_with("08") => Self::ConnectionLost,
            _ => Self::Other,
        }
    }

    /// The same transaction may well succeed when it is tried again on the same session.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::LockTimeout | Self::Deadlock | Self::Serialization | Self::Canceled)
    }
}

impl Error {
    /// What `doing` met. Keeps SQLSTATE, detail and hint; a lost session becomes [`Error::Connection`].
    pub fn sql(doing: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        let doing = doing.into();
        match (Failure::of(error), error.code()) {
            (Failure::ConnectionLost, _) | (_, None) => {
                Self::Connection { message: format!("{doing}: {}", said(error)) }
            }
            (_, Some(code)) => Self::Sql { doing, sqlstate: code.code().to_owned(), message: said(error) },
        }
    }

    /// SQLSTATE, where the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Sql { sqlstate, .. } | Self::Step { sqlstate, .. } | Self::Load { sqlstate, .. } => {
                Some(sqlstate)
            }
            Self::Privilege { .. } | Self::Rights { .. } | Self::Denied { .. } => {
                Some(SqlState::INSUFFICIENT_PRIVILEGE.code())
            }
            _ => None,
        }
    }

    /// What sort of failure it is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connection { .. } => Failure::ConnectionLost,
            _ => self.sqlstate().map_or(Failure::Other, Failure::of_sqlstate),
        }
    }
}

/// Says what was being done when the server refused: `client.execute(…).await.doing("write the ledger")?`.
pub trait Doing<T> {
    /// Turns the driver's error into ours.
    ///
    /// # Errors
    /// Those that were there already.
    fn doing(self, what: &str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, tokio_postgres::Error> {
    fn doing(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::sql(what, &error))
    }
}

/// The server's words with detail and hint, or the driver's with their cause.
pub fn said(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = db.message().to_owned();
        for (label, more) in [("detail", db.detail()), ("hint", db.hint()), ("where", db.where_())] {
            if let Some(more) = more {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {label}: {more}");
            }
        }
        return text;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // The driver's own message ends with its cause already.
        let words = next.to_string();
        if !text.ends_with(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn sqlstates_are_sorted_by_what_helps() {
        for (code, failure) in [
            ("55P03", Failure::LockTimeout),
            ("40P01", Failure::Deadlock),
            ("40001", Failure::Serialization),
            ("57014", Failure::Canceled),
            ("42501", Failure::Privilege),
            ("08006", Failure::ConnectionLost),
            ("57P01", Failure::ConnectionLost),
            ("25P03", Failure::ConnectionLost),
            ("23505", Failure::Other),
        ] {
            assert_eq!(Failure::of_sqlstate(code), failure, "{code}");
        }
        assert!(Failure::Canceled.is_transient() && !Failure::ConnectionLost.is_transient());
    }
}
