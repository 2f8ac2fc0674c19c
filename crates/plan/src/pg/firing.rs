//! In which sessions a trigger fires: ENABLE, DISABLE, ENABLE REPLICA and ENABLE ALWAYS TRIGGER.
//!
//! `session_replication_role` is `origin` or `local` in ordinary sessions, `replica` in those that apply what a subscription
//! brings, and in whichever is set so to keep triggers silent.
//!
//! Source: "session_replication_role" in doc/src/sgml/config.sgml, `TriggerEnabled` in src/backend/commands/trigger.c.

use serde::{Deserialize, Serialize};

/// `pg_trigger.tgenabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub enum Firing {
    /// `O`: in ordinary sessions. So is every trigger that is made.
    Origin,
    /// `D`
    Never,
    /// `R`: in replicating sessions only.
    Replica,
    /// `A`
    Always,
}

/// As it is written to plans: what an earlier version knew of is what it was.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Enabled(bool),
    Sessions(Sessions),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sessions {
    Replica,
    Always,
}

impl Firing {
    /// It fires in ordinary sessions.
    pub fn ordinary(self) -> bool {
        matches!(self, Self::Origin | Self::Always)
    }

    /// It fires in replicating sessions.
    pub fn replicating(self) -> bool {
        matches!(self, Self::Replica | Self::Always)
    }

    /// What follows ALTER TABLE and precedes TRIGGER.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Origin => "ENABLE",
            Self::Never => "DISABLE",
            Self::Replica => "ENABLE REPLICA",
            Self::Always => "ENABLE ALWAYS",
        }
    }

    /// When it fires, for people.
    pub fn when(self) -> &'static str {
        match self {
            Self::Origin => "fires in ordinary sessions",
            Self::Never => "is disabled",
            Self::Replica => "fires in replicating sessions only",
            Self::Always => "fires in all sessions",
        }
    }
}

impl From<Stored> for Firing {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Enabled(true) => Self::Origin,
            Stored::Enabled(false) => Self::Never,
            Stored::Sessions(Sessions::Replica) => Self::Replica,
            Stored::Sessions(Sessions::Always) => Self::Always,
        }
    }
}

impl From<Firing> for Stored {
    fn from(firing: Firing) -> Self {
        match firing {
            Firing::Origin => Self::Enabled(true),
            Firing::Never => Self::Enabled(false),
            Firing::Replica => Self::Sessions(Sessions::Replica),
            Firing::Always => Self::Sessions(Sessions::Always),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Firing;

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        for (text, firing) in [
            ("true", Firing::Origin),
            ("false", Firing::Never),
            ("\"replica\"", Firing::Replica),
            ("\"always\"", Firing::Always),
        ] {
            assert_eq!(serde_json::from_str::<Firing>(text).unwrap(), firing);
            assert_eq!(serde_json::to_string(&firing).unwrap(), text);
        }
    }
}
