//! Real input: a directory of `NAME/up.sql` migrations of a real project. Applies them in order with `apply --simple` and
//! with psql and compares the dumps; then expands and contracts each that is planned, with the directives that are kept beside the
//! files, runs the others as written, and compares again; or only plans each on top of its predecessors. Counts what comes of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use concertina_lab::{Installation, Options, Server};
use concertina_plan::diagnostic::Diagnostic;
use concertina_plan::policy::Policy;
use concertina_proof::case::ColumnOrder;
use concertina_proof::compare::Picture;
use concertina_run::connect::Target;
use concertina_run::engine::{Confirm, Stop};
use concertina_run::event::Silent;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use concertina_run::{Engine, Error};

mod count;
mod files;

use count::Count;
use files::{File, Part};

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
    /// Directory of NAME.allow files: a line each, the number of a statement and a directive for it
    #[arg(long)]
    directives: Option<PathBuf>,
    /// Number of the first file, from 1, that is expanded and contracted; those before it run as written
    #[arg(long, default_value_t = 1)]
    from: usize,
    /// Only plan, do not run them and compare with psql
    #[arg(long)]
    plan_only: bool,
    /// Print every refusal, not only the counts
    #[arg(long)]
    verbose: bool,
}

/// Runs it.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let files = files::read(&args.directory, args.directives.as_deref())?;
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
        return online_equals_psql(&server, &files, args.from.saturating_sub(1), args.verbose).await;
    }
    plan_each(&server, &files, args.verbose).await
}

async fn engine(server: &Server, database: &str) -> Result<Engine> {
    let target = Target::resolve(Some(&server.url(database)))?;
    Ok(Engine::connect(target, Settings::default(), Policy::default(), Arc::new(Silent), Stop::default())
        .await?)
}

async fn simple_equals_psql(server: &Server, files: &[File]) -> Result<()> {
    server.create_database_from(TEMPLATE, "simple").await?;
    server.create_database_from(TEMPLATE, "naive").await?;
    let engine = engine(server, "simple").await?;
    engine.init().await?;
    let plain: Vec<MigrationFile> = files.iter().map(|file| file.plain.clone()).collect();
    let outcome = engine.apply_simple(&plain).await?;
    println!("apply --simple ran {} of {} files", outcome.moved.len(), files.len());
    for file in &plain {
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
async fn online_equals_psql(server: &Server, files: &[File], from: usize, verbose: bool) -> Result<()> {
    server.create_database_from(TEMPLATE, "online").await?;
    let (before, files) = files.split_at(from.min(files.len()));
    for file in before {
        server.psql("online", &file.plain.text).await?;
    }
    let engine = engine(server, "online").await?;
    engine.init().await?;
    let mut known: Vec<MigrationFile> = Vec::new();
    let mut count = Count::default();
    let mut steps = 0;
    for file in files {
        let mut became = Vec::new();
        for part in &file.parts {
            known.push(part.file.clone());
            let ran = migrate(&engine, &known, &part.file).await;
            became.push(match ran.with_context(|| part.file.name.clone())? {
                Ok(more) => {
                    steps += more;
                    if verbose {
                        println!("{} ran in {more} steps", part.file.name);
                    }
                    count.planned(part)
                }
                Err(diagnostics) => {
                    tell(part, &diagnostics, verbose);
                    count.refused(part, &diagnostics)
                }
            });
        }
        count.file(file, &became);
    }
    println!("what is planned ran in {steps} steps, what is refused ran as written");
    count.print();
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

/// The number of steps, or why it was refused.
async fn migrate(
    engine: &Engine,
    known: &[MigrationFile],
    file: &MigrationFile,
) -> Result<Result<usize, Vec<Diagnostic>>, Error> {
    let name = Some(file.name.as_str());
    match engine.plan(file).await {
        Ok(_) => {
            let expanded = engine.expand(known, name).await?;
            let switched = engine.switch(known, name).await?;
            let contracted = engine.contract(known, name, Confirm { destroy: true }).await?;
            let archived = engine.archive().await?;
            engine.purge(archived).await?;
            Ok(Ok(expanded.steps + switched.steps + contracted.steps))
        }
        Err(Error::Refused { diagnostics, .. }) => engine.apply_simple(known).await.map(|_| Err(diagnostics)),
        Err(error) => Err(error),
    }
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

async fn plan_each(server: &Server, files: &[File], verbose: bool) -> Result<()> {
    server.create_database_from(TEMPLATE, "planned").await?;
    let mut count = Count::default();
    for file in files {
        let mut became = Vec::new();
        for part in &file.parts {
            let engine = engine(server, "planned").await?;
            let (pending, name) = (part.file.clone(), &part.file.name);
            let outcome = tokio::spawn(async move { engine.plan(&pending).await })
                .await
                .with_context(|| format!("planning {name} panicked"))?;
            became.push(match outcome {
                Ok(_) => count.planned(part),
                Err(Error::Refused { diagnostics, .. }) => {
                    tell(part, &diagnostics, verbose);
                    count.refused(part, &diagnostics)
                }
                Err(error) => bail!("{name}: {error}"),
            });
            server.psql("planned", &part.file.text).await.with_context(|| format!("psql on {name}"))?;
        }
        count.file(file, &became);
    }
    count.print();
    Ok(())
}

fn tell(part: &Part, diagnostics: &[Diagnostic], verbose: bool) {
    for diagnostic in diagnostics.iter().filter(|_| verbose) {
        let kind = diagnostic.kind.as_deref().unwrap_or("-");
        let number = part.number(diagnostic.span.start);
        println!(
            "{} statement {number}: {kind} [{}]: {}",
            part.file.name, diagnostic.code, diagnostic.message
        );
    }
}
