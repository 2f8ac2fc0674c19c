//! The command line. Doc comments are the help text, and through it docs/commands.md.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use concertina_run::settings::FreeSpace;

use crate::{cmd, config};

/// Changes the schema of a live PostgreSQL database without anyone noticing.
///
/// You write plain SQL. Concertina compiles it to an online plan, shows every step with its locks and its undo, runs
/// it in small pieces that give way to your application, survives a crash at any instant, and removes the old shape
/// only when you say so.
///
/// The usual way: `new` a migration, write SQL, read the `plan`, `expand`, deploy your code, `contract`.
#[derive(Debug, Parser)]
#[command(name = "concertina", version, max_term_width = 100)]
pub struct Args {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Database to work on: a URL or keyword string.
    ///
    /// Otherwise DATABASE_URL, then `database.url` of concertina.toml, then libpq's PGHOST, PGUSER, … A password given
    /// here is visible to other users of this machine: prefer the environment or a password file.
    #[arg(long, short = 'd', global = true, value_name = "URL")]
    pub database: Option<config::Secret>,

    /// Configuration file; otherwise the nearest concertina.toml in this directory or above.
    #[arg(long, global = true, value_name = "FILE", env = "CONCERTINA_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// Folder with the migration files.
    #[arg(
        long,
        short = 'm',
        global = true,
        value_name = "DIR",
        env = "CONCERTINA_MIGRATIONS",
        hide_env_values = true
    )]
    pub migrations: Option<PathBuf>,

    /// What stdout carries: text for people, or one JSON document for programs.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: Format,

    /// No progress and no closing summary; errors are still printed.
    #[arg(long, short = 'q', global = true)]
    pub quiet: bool,

    /// Colour and progress bars.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,

    /// Longest time that any other session may wait because of us, such as 250ms.
    #[arg(long, global = true, value_name = "TIME", value_parser = config::parse_duration)]
    pub max_stall: Option<Duration>,

    /// Sum of all sessions' waits because of us over one command, such as 30s; then the run stops at a safe point.
    #[arg(long, global = true, value_name = "TIME", value_parser = config::parse_duration)]
    pub total_stall: Option<Duration>,

    /// Share of the time that a backfill may work, above 0 and at most 1.
    #[arg(long, global = true, value_name = "SHARE", value_parser = config::parse_load)]
    pub load: Option<f64>,

    /// What is free on the server's disk, such as 200GB, where that cannot be asked; false: do not look.
    #[arg(long, global = true, value_name = "SIZE", value_parser = config::parse_free_space)]
    pub disk_free: Option<FreeSpace>,

    /// Leave at once, with exit code 6, when another runner is at work; otherwise wait for it.
    #[arg(long, global = true)]
    pub no_wait: bool,

    /// Log what happens inside, to stderr; repeat for more.
    #[arg(long, short = 'v', global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the doc comments of the arguments are the help")]
pub enum Command {
    Init(cmd::init::Init),
    New(cmd::new::New),
    Plan(cmd::plan::Plan),
    Expand(cmd::expand::Expand),
    Switch(cmd::switch::Switch),
    Contract(cmd::contract::Contract),
    Undo(cmd::undo::Undo),
    Status(cmd::status::Status),
    History(cmd::history::History),
    Report(cmd::report::Report),
    Quarantine(cmd::quarantine::Quarantine),
    Archive(cmd::archive::Archive),
    Apply(cmd::apply::Apply),
    Baseline(cmd::baseline::Baseline),
    Accept(cmd::accept::Accept),
    Check(cmd::check::Check),
    Uninstall(cmd::uninstall::Uninstall),
    Demo(cmd::demo::Demo),
    Completions(cmd::completions::Completions),
    Man(cmd::completions::Man),
}

/// What stdout carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document; its `format` member says which. See docs/json.md.
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never, and no progress bars either.
    Never,
}

impl Color {
    /// Makes it the choice for all output of this process.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_database_url_never_shows_in_debug_output() {
        let args = Args::try_parse_from(["concertina", "-d", "postgres://u:geheim@h/db", "status"]).unwrap();
        assert!(!format!("{args:?}").contains("geheim"));
    }

    #[test]
    fn numbers_are_checked_where_they_are_read() {
        for bad in [["--load", "0"], ["--load", "1.5"], ["--max-stall", "fast"], ["--max-stall", "0s"]] {
            let line = ["concertina", "expand", bad[0], bad[1]];
            assert!(Args::try_parse_from(line).is_err(), "{bad:?}");
        }
    }
}
