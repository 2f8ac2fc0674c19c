//! Table lock modes and their conflicts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table-level lock mode, weakest first. Source: doc/src/sgml/mvcc.sgml, "Table-Level Locks".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockMode {
    /// SELECT
    #[serde(rename = "AccessShareLock")]
    AccessShare,
    /// SELECT … FOR UPDATE / SHARE; the referenced table of VALIDATE CONSTRAINT
    #[serde(rename = "RowShareLock")]
    RowShare,
    /// INSERT, UPDATE, DELETE, MERGE
    #[serde(rename = "RowExclusiveLock")]
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT
    #[serde(rename = "ShareUpdateExclusiveLock")]
    ShareUpdateExclusive,
    /// CREATE INDEX
    #[serde(rename = "ShareLock")]
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY
    #[serde(rename = "ShareRowExclusiveLock")]
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY
    #[serde(rename = "ExclusiveLock")]
    Exclusive,
    /// Most of ALTER TABLE, DROP TABLE, TRUNCATE
    #[serde(rename = "AccessExclusiveLock")]
    AccessExclusive,
}

impl LockMode {
    /// All modes, weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// Whether two sessions cannot hold these at once. Source: LockConflicts in src/backend/storage/lmgr/lock.c.
    pub fn conflicts(self, other: Self) -> bool {
        use LockMode::{
            AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
        };
        let (weak, strong) = if self <= other { (self, other) } else { (other, self) };
        match weak {
            AccessShare => strong == AccessExclusive,
            RowShare => strong >= Exclusive,
            RowExclusive => strong >= Share,
            Self::ShareUpdateExclusive => strong >= Self::ShareUpdateExclusive,
            Share => strong != Share,
            ShareRowExclusive | Exclusive | AccessExclusive => true,
        }
    }

    /// Blocks INSERT, UPDATE and DELETE.
    pub fn blocks_writes(self) -> bool {
        self.conflicts(Self::RowExclusive)
    }

    /// Blocks SELECT.
    pub fn blocks_reads(self) -> bool {
        self.conflicts(Self::AccessShare)
    }

    /// As `LOCK TABLE … IN … MODE` spells it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// From `pg_locks.mode`.
    pub fn from_pg_locks(mode: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.pg_locks() == mode)
    }

    /// As `pg_locks.mode` spells it.
    pub fn pg_locks(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql())
    }
}

#[cfg(test)]
mod tests {
    use super::LockMode;

    #[test]
    fn the_conflict_table_is_the_documented_one() {
        let table = LockMode::ALL.map(|a| {
            LockMode::ALL.map(|b| if a.conflicts(b) { 'x' } else { '.' }).iter().collect::<String>()
        });
        assert_eq!(
            table,
            [".......x", "......xx", "....xxxx", "...xxxxx", "..xx.xxx", "..xxxxxx", ".xxxxxxx", "xxxxxxxx"]
        );
    }
}
