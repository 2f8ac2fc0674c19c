//! Plans every migration on a database that nobody needs: for CI, before production is touched.
//!
//! Each file is planned on the schema that those before it make, then run as written so that the next finds its effect. The schema to
//! start from is nothing, or a dump of production. A table that is there before a file counts as holding rows, as it would in
//! production: an empty one would hide what is refused for the others.

use concertina_plan::Source;
use concertina_plan::catalog::{Catalog, RelationKind};
use concertina_plan::diagnostic::Diagnostic;
use concertina_plan::plan::Plan;
use concertina_plan::policy::Policy;

use crate::connect::Session;
use crate::dump::{self, Dump, Loaded};
use crate::engine::Engine;
use crate::error::{Doing, Error};
use crate::executor::Run;
use crate::state::MigrationFile;
use crate::{adopt, files, introspect, simple};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The dump, where one was given.
    pub loaded: Option<Loaded>,
    /// Migrations that were taken as they are: in the dump, or run as written without being planned.
    pub taken: Vec<String>,
    /// Migrations that were planned, in order.
    pub files: Vec<CheckedFile>,
    /// The migration that failed as written, if one did: it is the last that was looked at.
    pub failed: Option<Failed>,
    /// Those that come after it.
    pub not_checked: Vec<String>,
}

/// One migration.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// Its name.
    pub name: String,
    /// Its plan, or why there is none.
    pub plan: Result<Box<Plan>, Vec<Diagnostic>>,
}

/// A migration that failed as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its name.
    pub migration: String,
    /// With file and line.
    pub message: String,
    /// Of the server's answer.
    pub sqlstate: Option<String>,
}

impl Engine {
    /// Checks every file, or those after `baseline`, on a database that must be empty, and is full of their work afterwards.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] before anything is done; [`Error::File`] for a bad name or a dump that is none, and what stands in the
    /// way of loading it. Refusals and failures of migrations are no errors: [`Checked`] holds them.
    pub async fn check(
        &self,
        files: &[MigrationFile],
        baseline: Option<&str>,
        dump: Option<&Dump>,
    ) -> Result<Checked, Error> {
        files::sorted(files)?;
        if let Some(name) = baseline
            && !files.iter().any(|file| file.name == name)
        {
            return Err(Error::File { message: format!("there is no migration file {name}.sql") });
        }
        let pieces = dump.map(dump::statements).transpose()?;
        let session = self.open().await?;
        refuse_filled(&session).await?;
        let mut checked = Checked::default();
        if let (Some(dump), Some(pieces)) = (dump, &pieces) {
            checked.loaded = Some(dump::load(&session, dump, pieces).await?);
            // A ledger without its rows says nothing. This database was empty, so all that is in there came with the dump.
            let ours = "SET client_min_messages = warning; DROP SCHEMA IF EXISTS concertina, concertina_archive CASCADE";
            session.client.batch_execute(ours).await.doing("leave the dump's ledger out")?;
        }
        let run = self.runner().await?;
        let result = self.check_in_order(&run, files, baseline, &mut checked).await;
        run.close().await;
        result.map(|()| checked)
    }

    async fn check_in_order(
        &self,
        run: &Run,
        given: &[MigrationFile],
        baseline: Option<&str>,
        checked: &mut Checked,
    ) -> Result<(), Error> {
        let files = files::sorted(given)?;
        let taken =
            baseline.and_then(|name| files.iter().position(|file| file.name == name)).map_or(0, |at| at + 1);
        checked.taken = files[..taken].iter().map(|file| file.name.clone()).collect();
        let in_dump = checked.loaded.is_some();
        if in_dump && baseline.is_some() {
            adopt::baseline(run, given, baseline, Some("in the dump")).await?;
        }
        for (at, file) in files.iter().enumerate() {
            run.check_stop()?;
            if at < taken && in_dump {
                continue;
            }
            if at >= taken {
                let plan = self.plan_on_rows(run, file).await?;
                checked.files.push(CheckedFile { name: file.name.clone(), plan });
            }
            if let Some(failed) = failed(file, simple::apply_file(self, run, file, None, None).await)? {
                checked.failed = Some(failed);
                checked.not_checked = files[at + 1..].iter().map(|file| file.name.clone()).collect();
                break;
            }
        }
        Ok(())
    }

    async fn plan_on_rows(
        &self,
        run: &Run,
        file: &MigrationFile,
    ) -> Result<Result<Box<Plan>, Vec<Diagnostic>>, Error> {
        let mut catalog = introspect::introspect(&run.work.client).await?;
        fill(&mut catalog, &self.policy);
        let source = Source { name: &file.name, text: &file.text };
        Ok(concertina_plan::plan(source, &catalog, &catalog, &self.policy).map(Box::new))
    }
}

/// Makes every table one that holds rows, too many for what the policy lets pass as small.
fn fill(catalog: &mut Catalog, policy: &Policy) {
    for relation in catalog.relations.values_mut() {
        let stores = matches!(
            relation.kind,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView
        );
        if stores {
            relation.rows = relation.rows.max(1);
            relation.bytes = relation.bytes.max(policy.small_table_bytes.saturating_add(1));
        }
    }
}

/// Sorts what the file did wrong from what stopped the check.
fn failed(file: &MigrationFile, result: Result<usize, Error>) -> Result<Option<Failed>, Error> {
    match result {
        Ok(_) => Ok(None),
        Err(error @ (Error::Sql { .. } | Error::Denied { .. } | Error::Refused { .. })) => Ok(Some(Failed {
            migration: file.name.clone(),
            message: error.to_string(),
            sqlstate: error.sqlstate().map(str::to_owned),
        })),
        Err(error) => Err(error),
    }
}

async fn refuse_filled(session: &Session) -> Result<(), Error> {
    let rows = session.client.query_typed(CONTENTS, &[]).await.doing("look whether the database is empty")?;
    let Some(row) = rows.first() else { return Ok(()) };
    Err(Error::NotEmpty {
        database: row.get("database"),
        found: rows.iter().map(|row| row.get("what")).collect(),
    })
}

/// What somebody made in here, but for what belongs to an extension. Everything that initdb makes has a smaller oid.
/// Source: `FirstNormalObjectId` in src/include/access/transam.h.
const CONTENTS: &str = "
SELECT pg_catalog.current_database()::text AS database, what
FROM (
    SELECT 1, oid, 'pg_catalog.pg_namespace'::regclass, pg_catalog.format('schema %I', nspname)
    FROM pg_catalog.pg_namespace WHERE nspname <> 'public' AND nspname !~ '^pg_'
    UNION ALL
    SELECT 2, c.oid, 'pg_catalog.pg_class'::regclass,
           pg_catalog.format(CASE c.relkind WHEN 'v' THEN 'view %I.%I' WHEN 'm' THEN 'materialized view %I.%I'
                                            WHEN 'S' THEN 'sequence %I.%I' ELSE 'table %I.%I' END, n.nspname, c.relname)
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT 3, f.oid, 'pg_catalog.pg_proc'::regclass, pg_catalog.format('function %I.%I', n.nspname, f.proname)
    FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace WHERE n.nspname !~ '^pg_'
    UNION ALL
    SELECT 4, t.oid, 'pg_catalog.pg_type'::regclass, pg_catalog.format('type %I.%I', n.nspname, t.typname)
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_'
) AS made (place, oid, class, what)
WHERE oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = class AND d.objid = made.oid AND d.deptype = 'e')
ORDER BY place, what LIMIT 5";
