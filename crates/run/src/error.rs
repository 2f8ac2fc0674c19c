//! Errors a person can act on: what happened, to which object, what state things are in now, what to do next.

use concertina_plan::diagnostic::Diagnostic;

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
    #[error("{what}\n  run as an administrator: {grant}")]
    Privilege {
        /// What cannot be done.
        what: String,
        /// The exact GRANT.
        grant: String,
    },
    /// The migration cannot be planned.
    #[error("{} cannot be planned: {} statement(s) refused", .migration, .diagnostics.len())]
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
    /// Contract would destroy data and was not confirmed.
    #[error("contract of {migration} removes data: {what}")]
    NotConfirmed {
        /// Migration.
        migration: String,
        /// Which.
        what: String,
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
