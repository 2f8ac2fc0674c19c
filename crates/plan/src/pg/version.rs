//! Server versions and what each is the first to have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `server_version_num`: 150018 is 15.18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl Version {
    /// The oldest major we support.
    pub const MIN_MAJOR: u32 = 14;

    /// Major version.
    pub fn major(self) -> u32 {
        self.0 / 10_000
    }

    /// `ALTER TABLE … ADD CONSTRAINT … NOT NULL c NOT VALID`: 18 and later.
    /// Source: release notes 18, "Allow NOT NULL constraints to be NOT VALID".
    pub fn not_null_not_valid(self) -> bool {
        self.major() >= 18
    }

    /// Partitions take part in the identity columns of their parent: 17 and later.
    /// Source: release notes 17, "Allow partitioned tables to have identity columns".
    pub fn partitions_share_identity(self) -> bool {
        self.major() >= 17
    }

    /// NOT VALID foreign keys on partitioned tables: 18 and later.
    /// Source: release notes 18.
    pub fn partitioned_foreign_key_not_valid(self) -> bool {
        self.major() >= 18
    }

    /// `NULLS NOT DISTINCT`: 15 and later. Source: release notes 15.
    pub fn nulls_not_distinct(self) -> bool {
        self.major() >= 15
    }

    /// Adding a unique constraint to a partitioned table locks its partitions ACCESS EXCLUSIVE, not SHARE: 18 and later.
    /// Source: measured on 14, 15, 17 and 18.
    pub fn unique_locks_partitions(self) -> bool {
        self.major() >= 18
    }

    /// Views that are read with the rights of who reads: 15 and later. Source: release notes 15, "security_invoker".
    pub fn security_invoker(self) -> bool {
        self.major() >= 15
    }

    /// MERGE, but not yet into views. Source: release notes 15 and 17.
    pub fn merges_only_into_tables(self) -> bool {
        (15..17).contains(&self.major())
    }

    /// A trigger of a partitioned table takes its clones in partitions along when it is renamed: 15 and later.
    /// Source: release notes 15; measured on 14 and 15.
    pub fn trigger_renames_follow_partitions(self) -> bool {
        self.major() >= 15
    }

    /// Virtual generated columns: 18 and later. Source: release notes 18.
    pub fn virtual_columns(self) -> bool {
        self.major() >= 18
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10_000, self.0 % 10_000)
    }
}
