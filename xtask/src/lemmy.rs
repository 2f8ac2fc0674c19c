//! Real input: a directory of `NAME/up.sql` migrations of a real project. Applies them in order with `apply --simple` and
//! with psql and compares the dumps; then expands and contracts each that is planned, runs the others as written, and compares
//! again; then plans each on top of its predecessors and counts what comes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use concertina_lab::{Installation, Options, Server};
use concertina_plan::policy::Policy;
use concertina_proof::case::ColumnOrder;
use concertina_proof::compare::Picture;
use concertina_run::connect::Target;
use concertina_run::engine::{Confirm, Stop};
use concertina_run::event::Silent;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use concertina_run::{Engine, Error};

const TEMPLATE: &str = "start";

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory whose subdirectories hold an up.sql each; run in order of name
    directory: PathBuf,
    /// Major version of PostgreSQL
    #[arg(long, default_value_t = 17)]
    major: u32,
    /// SQL to run first in every database, for what the project's own runner makes
    #[arg(long)]
    before: Option<String>,
    /// Only plan, do not run them and compare with psql
    #[arg(long)]
    plan_only: bool,
    /// Print every refusal, not only the counts
    #[arg(long)]
    verbose: bool,
}

/// Runs it.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let files = files(&args.directory)?;
    println!("{} files from {}", files.len(), args.directory.display());
    let installation = Installation::major(args.major)?;
    let server = Server::start(&installation, Options::new()).await?;
    println!("PostgreSQL {}", installation.version);
    server.create_database(TEMPLATE).await?;
    if let Some(sql) = &args.before {
        server.psql(TEMPLATE, sql).await?;
    }
    if !args.plan_only {
        simple_equals_psql(&server, &files).await?;
        online_equals_psql(&server, &files).await?;
    }
    plan_each(&server, &files, args.verbose).await
}

fn files(directory: &Path) -> Result<Vec<MigrationFile>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .map(|entry| Ok(entry?.path().join("up.sql")))
        .collect::<Result<_>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
        .iter()
        .enumerate()
        .map(|(at, path)| {
            let name =
                path.parent().and_then(Path::file_name).context("no directory name")?.to_string_lossy();
            // The folder's own naming (dashes in the date) is not one of ours: number the files in their order.
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            Ok(MigrationFile { name: format!("{:04}_{name}", at + 1), text: fs::read_to_string(path)? })
        })
        .collect()
}

async fn engine(server: &Server, database: &str) -> Result<Engine> {
    let target = Target::resolve(Some(&server.url(database)))?;
    Ok(Engine::connect(target, Settings::default(), Policy::default(), Arc::new(Silent), Stop::default())
        .await?)
}

async fn simple_equals_psql(server: &Server, files: &[MigrationFile]) -> Result<()> {
    server.create_database_from(TEMPLATE, "simple").await?;
    server.create_database_from(TEMPLATE, "naive").await?;
    let engine = engine(server, "simple").await?;
    engine.init().await?;
    let outcome = engine.apply_simple(files).await?;
    println!("apply --simple ran {} of {} files", outcome.moved.len(), files.len());
    for file in files {
        server.psql("naive", &file.text).await.with_context(|| format!("psql on {}", file.name))?;
    }
    let ours = dump(server, "simple").await?;
    let theirs = dump(server, "naive").await?;
    if ours != theirs {
        let at = ours.lines().zip(theirs.lines()).position(|(a, b)| a != b).unwrap_or(0);
        bail!(
            "pg_dump differs at line {}:\n  simple: {}\n  psql:   {}",
            at + 1,
            ours.lines().nth(at).unwrap_or_default(),
            theirs.lines().nth(at).unwrap_or_default()
        );
    }
    println!("pg_dump after apply --simple equals pg_dump after psql ({} lines)", theirs.lines().count());
    Ok(())
}

/// Expand and contract where a plan is made, as written where it is refused. What lies in the archive is purged each time, as
/// by somebody who will not go back.
async fn online_equals_psql(server: &Server, files: &[MigrationFile]) -> Result<()> {
    server.create_database_from(TEMPLATE, "online").await?;
    let engine = engine(server, "online").await?;
    engine.init().await?;
    let (mut online, mut steps, mut as_written) = (0, 0, 0);
    for (at, file) in files.iter().enumerate() {
        let (known, name) = (&files[..=at], Some(file.name.as_str()));
        let ran = async {
            match engine.plan(file).await {
                Ok(_) => {
                    let expanded = engine.expand(known, name).await?;
                    let contracted = engine.contract(known, name, Confirm { destroy: true }).await?;
                    let archived = engine.archive().await?;
                    engine.purge(archived).await?;
                    Ok(Some(expanded.steps + contracted.steps))
                }
                Err(Error::Refused { .. }) => engine.apply_simple(known).await.map(|_| None),
                Err(error) => Err(error),
            }
        };
        match ran.await.with_context(|| file.name.clone())? {
            Some(more) => {
                online += 1;
                steps += more;
            }
            None => as_written += 1,
        }
    }
    println!("{online} files ran online in {steps} steps, {as_written} were refused and ran as written");
    let picture = async |database| -> Result<Picture> {
        Ok(Picture {
            schema: dump(server, database).await?,
            rows: BTreeMap::new(),
            sequences: BTreeMap::new(),
        })
    };
    picture("online").await?.same_schema_as(&picture("naive").await?, ColumnOrder::Differs)?;
    println!("pg_dump after expand and contract equals pg_dump after psql, but for the order of columns");
    Ok(())
}

/// The schema without the ledger, and without pg_dump's random restriction keys.
async fn dump(server: &Server, database: &str) -> Result<String> {
    let output = server
        .client_program("pg_dump")?
        .args([
            "--schema-only",
            "--exclude-schema=concertina",
            "--exclude-schema=concertina_archive",
            database,
        ])
        .output()
        .await?;
    if !output.status.success() {
        bail!("pg_dump failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter(|line| !line.contains("restrict ")).map(|line| format!("{line}\n")).collect())
}

async fn plan_each(server: &Server, files: &[MigrationFile], verbose: bool) -> Result<()> {
    server.create_database_from(TEMPLATE, "planned").await?;
    let mut planned = 0;
    let mut refused = 0;
    let mut reasons: BTreeMap<(String, String), u32> = BTreeMap::new();
    for file in files {
        let engine = engine(server, "planned").await?;
        let pending = file.clone();
        let outcome = tokio::spawn(async move { engine.plan(&pending).await })
            .await
            .with_context(|| format!("planning {} panicked", file.name))?;
        match outcome {
            Ok(_) => planned += 1,
            Err(Error::Refused { diagnostics, .. }) => {
                refused += 1;
                for diagnostic in diagnostics {
                    let kind = diagnostic.kind.unwrap_or_else(|| "-".to_owned());
                    if verbose {
                        println!("{}: {kind} [{}]: {}", file.name, diagnostic.code, diagnostic.message);
                    }
                    *reasons.entry((diagnostic.code.slug().to_owned(), kind)).or_default() += 1;
                }
            }
            Err(error) => bail!("{}: {error}", file.name),
        }
        server.psql("planned", &file.text).await.with_context(|| format!("psql on {}", file.name))?;
    }
    println!("planned {planned}, refused {refused}, no panic");
    println!("refused statements by code and kind:");
    for ((code, kind), count) in &reasons {
        println!("{count:6}  {code:16} {kind}");
    }
    Ok(())
}
