//! Exit codes: a closed, documented set. Scripts may rely on the numbers; they are never reused for another meaning.

macro_rules! exit_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $slug:literal;)+) => {
        /// How the command ended. [`crate::failure::Failure`] carries one, decided by the kind of error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ExitCode {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl ExitCode {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Stable name, as in the JSON error document.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            /// What it means and what to do, for docs/exit-codes.md.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+).trim_ascii()),+ }
            }
        }
    };
}

exit_codes! {
    /// Done, or nothing to do.
    Ok = 0, "ok";
    /// Something nobody foresaw. Please report it. Running the same command again is safe.
    Unexpected = 1, "unexpected";
    /// The command line or `concertina.toml` is wrong. Nothing was run.
    Usage = 2, "usage";
    /// A migration cannot be planned; the reasons and the ways out were printed. Nothing of it was run. Migrations
    /// before it may have been.
    Refused = 3, "refused";
    /// The existing rows do not satisfy a constraint that the migration adds. Correct the rows, then run the same command.
    Violated = 4, "violated";
    /// Other sessions would have waited too long, or a lock was not free for too long: gave way. Run the same command again later.
    GaveWay = 5, "gave-way";
    /// Another runner is at work on this database, or took over. Wait for it.
    Busy = 6, "busy";
    /// Interrupted by Ctrl-C or SIGTERM. The same command goes on from there.
    Interrupted = 7, "interrupted";
    /// No connection to PostgreSQL, or it was lost and did not come back. The same command goes on from there.
    Connection = 8, "connection";
    /// A migration file is missing, changed, badly named or out of order.
    File = 9, "file";
    /// Data would be removed, and nobody confirmed it. Everything before that was done.
    NotConfirmed = 10, "not-confirmed";
    /// Undo is not possible from here. Nothing was changed.
    CannotUndo = 11, "cannot-undo";
    /// The role lacks rights; the statements that give them were printed. Nothing more of that migration was run.
    Privilege = 12, "privilege";
    /// The ledger is newer than this program, belongs to another database, or is damaged.
    Ledger = 13, "ledger";
    /// The server or the way to it cannot be used: too old, a standby, a transaction-pooling proxy.
    Unsupported = 14, "unsupported";
    /// A step failed in a way that trying again does not help. The message says what state things are in.
    StepFailed = 15, "step-failed";
    /// A migration in flight is in the way; finish it or take it back first. Nothing was changed.
    InFlight = 16, "in-flight";
    /// The server's disk has too little room for a step, or is filling up; what is needed and what there is was printed. Nothing
    /// more of that migration was run.
    NoRoom = 17, "no-room";
    /// Something that was made meanwhile, or rows in quarantine, stand in the way of switch, contract or undo, or are left there; they
    /// were named. Nothing was changed.
    Blocked = 18, "blocked";
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ExitCode;

    #[test]
    fn numbers_and_names_are_unique_and_outside_the_shell_s_own() {
        let numbers: BTreeSet<u8> = ExitCode::ALL.iter().map(|code| *code as u8).collect();
        let names: BTreeSet<&str> = ExitCode::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!((numbers.len(), names.len()), (ExitCode::ALL.len(), ExitCode::ALL.len()));
        // 126 and above belong to the shell and to signals.
        assert!(numbers.iter().all(|number| *number < 64));
    }
}
