//! The migrations that are run under fire, and the table that they change.

use concertina_run::state::MigrationFile;

/// A migration with what clients write before and after contract.
pub(crate) struct Subject {
    /// Name.
    pub(crate) name: &'static str,
    /// The migration.
    pub(crate) sql: &'static str,
    /// INSERT of `$1` (id) by code that knows the new shape.
    pub(crate) insert: &'static str,
    /// UPDATE of `balance` by `$2` where id is `$1`, by code that knows the new shape.
    pub(crate) spend: &'static str,
    /// Queries that return no row at the end.
    pub(crate) holds: &'static [&'static str],
}

/// INSERT by code that does not know the new shape.
pub(crate) const OLD_INSERT: &str =
    "INSERT INTO accounts (id, owner, balance, reference) VALUES ($1::bigint, 1 + $1 % 100, 0, 'r' || $1)";
/// UPDATE by code that does not know the new shape.
pub(crate) const OLD_SPEND: &str = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";

/// All of them; each has a backfill, a validation or an index build, most have all three.
pub(crate) const SUBJECTS: &[Subject] = &[
    Subject {
        name: "derived",
        sql: "ALTER TABLE accounts ADD COLUMN cents bigint;
              UPDATE accounts SET cents = balance * 100;
              ALTER TABLE accounts ALTER COLUMN cents SET NOT NULL;
              CREATE INDEX accounts_cents_idx ON accounts (cents);",
        insert: "INSERT INTO accounts (id, owner, balance, reference, cents) VALUES ($1::bigint, 1 + $1 % 100, 0, 'r' || $1, 0)",
        spend: "UPDATE accounts SET balance = balance + $2, cents = (balance + $2) * 100 WHERE id = $1",
        holds: &["SELECT id FROM accounts WHERE cents IS DISTINCT FROM balance * 100 LIMIT 5"],
    },
    Subject {
        name: "increment",
        sql: "UPDATE accounts SET version = version + 1 WHERE version < 100;
              ALTER TABLE accounts ADD CONSTRAINT version_sane CHECK (version >= 0);
              CREATE INDEX accounts_version_idx ON accounts (version) WHERE version > 1;",
        insert: OLD_INSERT,
        spend: OLD_SPEND,
        holds: &[
            "SELECT id, version FROM accounts WHERE id < 10000000 AND version <> 1 LIMIT 5",
            "SELECT id, version FROM accounts WHERE version NOT IN (0, 1) LIMIT 5",
        ],
    },
    Subject {
        name: "constraints",
        sql: "ALTER TABLE accounts ADD CONSTRAINT accounts_reference_key UNIQUE (reference);
              ALTER TABLE accounts ADD CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES owners (id);
              ALTER TABLE accounts ADD CONSTRAINT balance_sane CHECK (balance < 2000000000);
              ALTER TABLE accounts ALTER COLUMN reference SET NOT NULL;
              CREATE INDEX accounts_owner_idx ON accounts (owner, balance);",
        insert: OLD_INSERT,
        spend: OLD_SPEND,
        holds: &[],
    },
    Subject {
        name: "volatile",
        sql: "ALTER TABLE accounts ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();
              CREATE UNIQUE INDEX accounts_token_key ON accounts (token);
              ALTER TABLE accounts ADD CONSTRAINT balance_sane CHECK (balance < 2000000000);",
        insert: OLD_INSERT,
        spend: OLD_SPEND,
        holds: &[
            "SELECT id FROM accounts WHERE token IS NULL LIMIT 5",
            "SELECT token FROM accounts GROUP BY token HAVING count(*) > 1 LIMIT 5",
        ],
    },
    Subject {
        name: "drop",
        sql: "ALTER TABLE accounts DROP COLUMN legacy;
              CREATE INDEX accounts_balance_idx ON accounts (balance);
              ALTER TABLE accounts ADD CONSTRAINT owner_positive CHECK (owner > 0);",
        insert: OLD_INSERT,
        spend: OLD_SPEND,
        holds: &[],
    },
];

impl Subject {
    /// As the engine takes it.
    pub(crate) fn file(&self) -> MigrationFile {
        MigrationFile { name: format!("0001_{}", self.name), text: self.sql.to_owned() }
    }
}

/// The tables before.
pub(crate) fn schema(rows: i64) -> String {
    format!(
        "CREATE TABLE owners (id bigint PRIMARY KEY);
         INSERT INTO owners SELECT generate_series(1, 100);
         CREATE TABLE accounts (
             id bigint PRIMARY KEY, owner bigint NOT NULL, balance bigint NOT NULL, reference text,
             version int NOT NULL DEFAULT 0, touches int NOT NULL DEFAULT 0, legacy text DEFAULT 'old'
         );
         INSERT INTO accounts (id, owner, balance, reference)
             SELECT i, 1 + i % 100, i % 1000, 'r' || i FROM generate_series(1, {rows}) AS i;"
    )
}
