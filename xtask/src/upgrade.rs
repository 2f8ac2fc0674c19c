//! Migrations that the program of an earlier ledger version began, killed on the way, and that this one takes to the end; and the
//! earlier program before this one's ledger. The earlier programs are built from history, once each, below `target/upgrade`.
//!
//! With `--dumps` it also writes down what those programs left behind, for the ordinary suite (crates/proof/tests/upgrade.rs).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use concertina_proof::case::ColumnOrder;
use concertina_proof::compare;
use concertina_proof::world::{Database, World};

/// What to do besides.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the ledgers that the earlier programs leave to tests/ledgers
    #[arg(long)]
    dumps: bool,
}

const SCHEMA: &str = include_str!("../../tests/ledgers/schema.sql");
const FILES: [&str; 2] = [
    include_str!("../../tests/ledgers/migrations/0001_reshape.sql"),
    include_str!("../../tests/ledgers/migrations/0002_count.sql"),
];
const FOLDER: &str = "tests/ledgers/migrations";

/// Where the earlier program is killed.
struct Boundary {
    /// Of the dump.
    name: &'static str,
    /// Commands that run to their end before.
    before: &'static [&'static [&'static str]],
    /// The one that does not.
    killed: &'static [&'static str],
    /// Failpoint.
    place: &'static str,
}

const BOUNDARIES: &[Boundary] = &[
    Boundary { name: "plan_stored", before: &[], killed: &["expand"], place: "plan_stored:1" },
    Boundary { name: "backfill", before: &[], killed: &["expand"], place: "batch_after_commit:5" },
    Boundary { name: "index", before: &[], killed: &["expand"], place: "alone_done:1" },
    Boundary { name: "row_set", before: &[], killed: &["expand"], place: "row_set_made:1" },
    Boundary {
        name: "contract",
        before: &[&["expand"]],
        killed: &["contract", "--yes"],
        place: "after_commit:2",
    },
    Boundary {
        name: "undo",
        before: &[&["expand", "0001"]],
        killed: &["undo", "0001"],
        place: "after_commit:2",
    },
];

/// Runs it.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in the workspace")?;
    let now = ledger_version(root)?;
    println!("building the program of this tree, ledger version {now}");
    cargo(root, &root.join("target"))?;
    let new = Program { binary: root.join("target/debug/concertina"), root: root.to_owned() };
    let world = World::start().await?;
    let template = world.database(SCHEMA).await?;
    let original = compare::picture(&template, &[]).await?;
    let naive = template.copy().await?;
    for sql in FILES {
        naive.psql(sql).await.context("the naive run")?;
    }
    let expected = compare::picture(&naive, &[]).await?;
    for version in 1..now {
        let commit = last_of(root, version)?;
        let old = build(root, version, &commit)?;
        for Boundary { name, before, killed, place } in BOUNDARIES {
            let database = template.copy().await?;
            for arguments in *before {
                old.expect(0, &database, arguments)?;
            }
            let died = old.command(&database, killed).env("CONCERTINA_FAILPOINT", place).output()?;
            ensure!(died.status.code().is_none(), "{place} was not reached: {}", said(&died));
            if args.dumps {
                dump(root, &database, version, name).await?;
            }
            let undone = killed[0] == "undo";
            if undone {
                new.expect(0, &database, &["undo", "0001"])?;
            } else {
                new.expect(0, &database, &["expand"])?;
                new.expect(0, &database, &["contract", "--yes"])?;
            }
            let wanted = if undone { &original } else { &expected };
            let order = if undone { ColumnOrder::Same } else { ColumnOrder::Differs };
            compare::picture(&database, &[])
                .await?
                .same_as(wanted, order)
                .with_context(|| format!("{version}, {name}"))?;
            println!("ledger {version} ({}): killed at {name}, finished by this program", &commit[..12]);
            database.remove().await?;
        }
        refuses(&template, &old, &new).await.with_context(|| format!("the program of ledger {version}"))?;
        goes_on(&template, &old, &new).await.with_context(|| format!("the program of ledger {version}"))?;
        println!(
            "ledger {version}: refuses this program's ledger and leaves it alone; a run of its own goes on beside the upgrade"
        );
    }
    Ok(())
}

/// The earlier program before a ledger of this one, a migration in flight: it says so, and touches nothing.
async fn refuses(template: &Database<'_>, old: &Program, new: &Program) -> Result<()> {
    let database = template.copy().await?;
    let died =
        new.command(&database, &["expand"]).env("CONCERTINA_FAILPOINT", "batch_after_commit:5").output()?;
    ensure!(died.status.code().is_none(), "this program was not killed: {}", said(&died));
    let before = pg_dump(&database).await?;
    for arguments in [&["status"][..], &["expand"], &["contract", "--yes"], &["undo", "0001"], &["init"]] {
        let output = old.expect(13, &database, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(said.contains("use a newer Concertina"), "it says {said}");
    }
    ensure!(pg_dump(&database).await? == before, "it has changed something");
    new.expect(0, &database, &["expand"])?;
    database.remove().await
}

/// This program brings the ledger up to date while a run of the earlier one is at work.
async fn goes_on(template: &Database<'_>, old: &Program, new: &Program) -> Result<()> {
    let database = template.copy().await?;
    database
        .psql("INSERT INTO public.\"Accounts\" (id, owner, balance) SELECT i, 1, i FROM generate_series(1000, 8000) AS i")
        .await?;
    let arguments = ["expand", "0001", "--load", "0.05"];
    let running = old.command(&database, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let client = database.connect().await?;
    let under_way = "SELECT count(*) FROM concertina.step WHERE state = 'running' AND rows > 0";
    loop {
        let count = client.query_one(under_way, &[]).await.map(|row| row.get::<_, i64>(0));
        if count.is_ok_and(|count| count > 0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    new.expect(0, &database, &["init"])?;
    let output = running.wait_with_output()?;
    // Its work is finished; only its closing look at the ledger, which is no longer its own, may be refused.
    let finished = said(&output).contains("0001_reshape: done in");
    let ended = matches!(output.status.code(), Some(0 | 13));
    ensure!(finished && ended, "the earlier run ended with {}: {}", output.status, said(&output));
    new.expect(0, &database, &["contract", "--yes"])?;
    let wrong = "SELECT count(*) FROM public.\"Accounts\" WHERE cents IS DISTINCT FROM balance * 100";
    ensure!(client.query_one(wrong, &[]).await?.get::<_, i64>(0) == 0, "rows are wrong");
    drop(client);
    database.remove().await
}

/// A binary, and the folder that it works on.
struct Program {
    binary: PathBuf,
    root: PathBuf,
}

impl Program {
    fn command(&self, database: &Database<'_>, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--migrations").arg(self.root.join(FOLDER));
        // `init` writes a file where it stands.
        command.current_dir(self.root.join("target/upgrade"));
        command.env("DATABASE_URL", database.url()).stdin(Stdio::null());
        command
    }

    fn expect(&self, code: i32, database: &Database<'_>, arguments: &[&str]) -> Result<Output> {
        let output = self.command(database, arguments).output().context("running the program")?;
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?} ended with {}: {}",
            output.status,
            said(&output)
        );
        Ok(output)
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The newest ledger version there is a file for.
fn ledger_version(root: &Path) -> Result<u32> {
    let there = |version: &u32| root.join(format!("crates/run/src/sql/ledger_{version}.sql")).exists();
    (1..).take_while(there).last().context("there is no ledger_1.sql")
}

/// The last commit whose program writes this version: the one before that which brought the next.
fn last_of(root: &Path, version: u32) -> Result<String> {
    let next = format!("crates/run/src/sql/ledger_{}.sql", version + 1);
    let brought = git(root, &["log", "--diff-filter=A", "--format=%H", "--", &next])?;
    let Some(brought) = brought.lines().last() else { bail!("no commit brought {next}; commit it first") };
    match git(root, &["rev-parse", "--verify", "--quiet", &format!("{brought}^")]) {
        Ok(commit) => Ok(commit.trim().to_owned()),
        Err(_) if git(root, &["rev-parse", "--is-shallow-repository"])?.trim() == "true" => {
            bail!(
                "this clone is shallow and does not reach back to ledger version {version}: git fetch --unshallow"
            )
        }
        Err(error) => Err(error),
    }
}

fn build(root: &Path, version: u32, commit: &str) -> Result<Program> {
    let home = root.join("target/upgrade");
    let binary = home.join(format!("concertina-{commit}"));
    if !binary.exists() {
        println!("building the program of ledger version {version}, commit {commit}");
        let source = home.join(format!("source-{commit}"));
        fs::create_dir_all(&source)?;
        let archive = home.join(format!("{commit}.tar"));
        git(root, &["archive", "--output", &archive.to_string_lossy(), commit])?;
        // With the time of unpacking: cargo would take the commit's for that of what the version before left in its target.
        let unpacked = Command::new("tar").arg("-xmf").arg(&archive).arg("-C").arg(&source).status()?;
        ensure!(unpacked.success(), "tar failed");
        cargo(&source, &home.join("target"))?;
        fs::copy(home.join("target/debug/concertina"), &binary)?;
        fs::remove_dir_all(&source)?;
        fs::remove_file(&archive)?;
    }
    Ok(Program { binary, root: root.to_owned() })
}

fn cargo(source: &Path, target: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "-p", "concertina"]).current_dir(source);
    ensure!(cargo.env("CARGO_TARGET_DIR", target).status()?.success(), "the program does not build");
    Ok(())
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output().context("running git")?;
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), said(&output));
    Ok(String::from_utf8(output.stdout)?)
}

/// The database as INSERTs, without what ties it to one client program or server.
async fn pg_dump(database: &Database<'_>) -> Result<String> {
    let mut dump = database.world().server.client_program("pg_dump")?;
    dump.args(["--no-owner", "--inserts", "--dbname"]).arg(database.name());
    let output = dump.output().await?;
    ensure!(output.status.success(), "pg_dump: {}", said(&output));
    let text = String::from_utf8(output.stdout)?;
    let kept = |line: &&str| {
        !line.starts_with('\\') && !line.starts_with("--") && !line.starts_with("SET ") && !line.is_empty()
    };
    Ok(text.lines().filter(kept).flat_map(|line| [line, "\n"]).collect())
}

async fn dump(root: &Path, database: &Database<'_>, version: u32, name: &str) -> Result<()> {
    let folder = root.join(format!("tests/ledgers/v{version}"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.sql")), pg_dump(database).await?)?;
    Ok(())
}
