//! Creates and upgrades the ledger, and refuses one that is not ours to write: newer than the program, or carried over to another database.

use concertina_plan::sql::ident::Ident;
use tokio_postgres::{Client, GenericClient};

use crate::error::{Doing, Error, Failure};

/// Version of the ledger that this program writes.
const VERSION: i32 = 4;

/// Any constant that nobody else uses; "concert" in ASCII.
const LOCK: i64 = 0x63_6f6e_6365_7274;

/// What each version adds to the one before, the first to an empty schema. Each adds only, so that a runner of the version
/// before that is at work goes on undisturbed, and may be run again.
const UPGRADES: [&str; VERSION as usize] = [
    include_str!("../sql/ledger_1.sql"),
    include_str!("../sql/ledger_2.sql"),
    include_str!("../sql/ledger_3.sql"),
    include_str!("../sql/ledger_4.sql"),
];

/// Whether there is a ledger, of whatever version. Needs no right on it.
///
/// # Errors
/// [`Error::Connection`].
pub async fn exists(client: &(impl GenericClient + Sync)) -> Result<bool, Error> {
    let row = client.query_one(STATE, &[]).await.doing("look for the ledger")?;
    whole(&row)?;
    Ok(row.get("complete"))
}

/// All of it or nothing: with a part of it gone, what is applied would look as if it were not, and would be run again.
fn whole(state: &tokio_postgres::Row) -> Result<(), Error> {
    let lost: Vec<String> = state.get("lost");
    if lost.is_empty() {
        return Ok(());
    }
    Err(Error::Ledger {
        message: format!(
            "the ledger is damaged: {} {} missing, and the rest is there; nothing was changed\n  restore schema concertina from a \
             backup; docs/operations.md says how, and what to do without one",
            lost.join(", "),
            if lost.len() == 1 { "is" } else { "are" }
        ),
    })
}

/// Creates the ledger if it is not there, brings an older one up to date, and checks it. Idempotent; two at once are fine.
///
/// # Errors
/// [`Error::Privilege`] with the exact GRANT, [`Error::Ledger`].
pub async fn ensure(client: &Client) -> Result<(), Error> {
    let state = client.query_one(STATE, &[]).await.doing("look for the ledger")?;
    whole(&state)?;
    if !state.get::<_, bool>("complete") || !state.get::<_, bool>("archive_there") {
        create(client, &state).await?;
    }
    if check(client).await? < VERSION {
        // The state of now: a ledger that was just created lacks nothing.
        let state = client.query_one(STATE, &[]).await.doing("look for the ledger")?;
        create(client, &state).await?;
    }
    remember_database(client).await
}

async fn create(client: &Client, state: &tokio_postgres::Row) -> Result<(), Error> {
    let (database, role): (String, String) = (state.get("database"), state.get("role"));
    let (database, role) = (Ident::new(database), Ident::new(role));
    let may_create: bool = state.get("may_create");
    let (schema_there, archive_there): (bool, bool) = (state.get("schema_there"), state.get("archive_there"));
    if !may_create && (!schema_there || !archive_there) {
        return Err(Error::Privilege {
            what: format!(
                "{role} may not create schemas in database {database}, where the ledger and the archive of dropped data are kept"
            ),
            grant: format!(
                "GRANT CREATE ON DATABASE {database} TO {role}\n  or, narrower: CREATE SCHEMA IF NOT EXISTS concertina AUTHORIZATION \
                 {role}; CREATE SCHEMA IF NOT EXISTS concertina_archive AUTHORIZATION {role}"
            ),
        });
    }
    for (schema, there, right) in
        [("concertina", schema_there, "may_use"), ("concertina_archive", archive_there, "may_use_archive")]
    {
        if there && !state.get::<_, bool>(right) {
            return Err(Error::Privilege {
                what: format!("{role} may not create tables in schema {schema}"),
                grant: format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}"),
            });
        }
    }
    // A lone transaction as one message: either all of it is there or nothing. Without the lock two sessions could collide in
    // the unique indexes of the catalog in spite of IF NOT EXISTS.
    let mut sql =
        format!("BEGIN; SET LOCAL lock_timeout = '10s'; SELECT pg_catalog.pg_advisory_xact_lock({LOCK}); ");
    // Even with IF NOT EXISTS the right to create is asked for first, so a schema made beforehand must not be named.
    // Source: CreateSchemaCommand in src/backend/commands/schemacmds.c.
    if !schema_there {
        sql.push_str("CREATE SCHEMA IF NOT EXISTS concertina; ");
    }
    if !archive_there {
        sql.push_str("CREATE SCHEMA IF NOT EXISTS concertina_archive; ");
    }
    sql.push_str("SET LOCAL client_min_messages = warning; ");
    for upgrade in UPGRADES {
        sql.push_str(upgrade);
    }
    sql.push_str("; COMMIT");
    let result = client.batch_execute(&sql).await;
    if result.is_err() {
        // Ends the failed transaction; if the session is gone there is nothing to end.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    result.doing("create the ledger in schema concertina")
}

/// Checks version, rights and database. Read-only. Returns the version, which may be older than ours.
///
/// # Errors
/// [`Error::Ledger`], [`Error::Privilege`].
pub async fn check(client: &(impl GenericClient + Sync)) -> Result<i32, Error> {
    let row = match client.query_opt(META, &[]).await {
        Err(error) if Failure::of(&error) == Failure::Privilege => return Err(no_right(client).await?),
        result => result.doing("read the ledger")?,
    };
    let Some(row) = row else {
        return Err(Error::Ledger {
            message:
                "the ledger is damaged: concertina.meta has no row; nothing was changed\n  restore schema concertina from a backup; \
                 docs/operations.md says how, and what to do without one"
                    .to_owned(),
        });
    };
    let version: i32 = row.get("version");
    if version > VERSION {
        return Err(Error::Ledger {
            message: format!(
                "the ledger has version {version}, and this program writes {VERSION}: use a newer Concertina"
            ),
        });
    }
    if !row.get::<_, bool>("may_write") {
        return Err(no_right(client).await?);
    }
    let moved =
        row.get::<_, bool>("other_database") || other_system(client, row.get("system_identifier")).await?;
    let in_flight: Vec<String> = row.get("in_flight");
    // Finished migrations are as true of the copy as of the original; only those under way are a danger.
    if moved && !in_flight.is_empty() {
        return Err(Error::Ledger {
            message: format!(
                "this database is a copy or was moved (dump and restore, pg_upgrade) while {} {} in flight\n  if this one is to be \
                 migrated from now on, run: UPDATE concertina.meta SET system_identifier = NULL, database_oid = NULL",
                in_flight.join(", "),
                if in_flight.len() == 1 { "was" } else { "were" }
            ),
        });
    }
    Ok(version)
}

/// Writes down which database this is, where that is open or no longer true.
async fn remember_database(client: &Client) -> Result<(), Error> {
    let system = system_identifier(client).await?;
    client.execute(REMEMBER, &[&system]).await.doing("write the ledger")?;
    Ok(())
}

async fn other_system(client: &(impl GenericClient + Sync), known: Option<String>) -> Result<bool, Error> {
    Ok(match (known, system_identifier(client).await?) {
        (Some(known), Some(now)) => known != now,
        _ => false,
    })
}

/// `None` where the function was revoked from us.
pub(crate) async fn system_identifier(client: &(impl GenericClient + Sync)) -> Result<Option<String>, Error> {
    // A function's EXECUTE right is checked when the statement starts, so asking and calling are two statements.
    let may = client.query_one(MAY_READ_CONTROL, &[]).await.doing("identify the server")?;
    if !may.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_one(SYSTEM_IDENTIFIER, &[]).await.doing("identify the server")?;
    Ok(Some(row.get(0)))
}

async fn no_right(client: &(impl GenericClient + Sync)) -> Result<Error, Error> {
    let row = client.query_one(STATE, &[]).await.doing("look for the ledger")?;
    let role = Ident::new(row.get::<_, String>("role"));
    Ok(Error::Privilege {
        what: format!("{role} may not write the ledger in schema concertina"),
        grant: format!(
            "GRANT USAGE, CREATE ON SCHEMA concertina TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA concertina TO {role}"
        ),
    })
}

/// Reads `pg_class` by name: that needs no right on the schema.
const STATE: &str = "
WITH ledger AS (
    SELECT w.name, c.oid IS NOT NULL AS there
    FROM unnest(ARRAY['meta', 'migration', 'step', 'event', 'lease']) WITH ORDINALITY AS w (name, place)
    LEFT JOIN (pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n
               ON n.oid = c.relnamespace AND n.nspname = 'concertina' AND c.relkind = 'r') ON c.relname = w.name
    ORDER BY place
)
SELECT (SELECT bool_and(there) FROM ledger) AS complete,
       (SELECT coalesce(array_agg('concertina.' || name) FILTER (WHERE NOT there AND (SELECT bool_or(there) FROM ledger)), '{}')
        FROM ledger) AS lost,
       EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'concertina') AS schema_there,
       EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'concertina_archive') AS archive_there,
       EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'concertina'
               AND pg_catalog.has_schema_privilege(oid, 'USAGE')
               AND pg_catalog.has_schema_privilege(oid, 'CREATE')) AS may_use,
       EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'concertina_archive'
               AND pg_catalog.has_schema_privilege(oid, 'USAGE')
               AND pg_catalog.has_schema_privilege(oid, 'CREATE')) AS may_use_archive,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
       pg_catalog.current_database()::text AS database,
       current_user::text AS role";

const META: &str = "
SELECT m.version, m.system_identifier,
       coalesce(m.database_oid <> (SELECT oid FROM pg_catalog.pg_database
                                   WHERE datname = pg_catalog.current_database()), false) AS other_database,
       (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT')
                               AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                               AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
                               AND pg_catalog.has_table_privilege(c.oid, 'DELETE'))
        FROM pg_catalog.pg_class AS c
        WHERE c.oid IN ('concertina.migration'::regclass, 'concertina.step'::regclass, 'concertina.event'::regclass,
                        'concertina.lease'::regclass, to_regclass('concertina.span'), to_regclass('concertina.estimate'),
                        to_regclass('concertina.rate'), to_regclass('concertina.quarantine'))) AS may_write,
       (SELECT coalesce(pg_catalog.array_agg(name ORDER BY name), '{}') FROM concertina.migration
        WHERE state NOT IN ('done', 'undone')) AS in_flight
FROM concertina.meta AS m";

const REMEMBER: &str = "
UPDATE concertina.meta AS m
SET database_oid = d.oid, system_identifier = coalesce($1::text, m.system_identifier)
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
  AND (m.database_oid, m.system_identifier) IS DISTINCT FROM (d.oid, coalesce($1::text, m.system_identifier))";

const MAY_READ_CONTROL: &str =
    "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')";

const SYSTEM_IDENTIFIER: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
