//! One file a command: its arguments, whose doc comment is the help, and what it does.

use crate::args::{Args, Command};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::session::Session;

pub mod accept;
pub mod apply;
pub mod archive;
pub mod baseline;
pub mod check;
pub mod completions;
pub mod contract;
pub mod demo;
pub mod expand;
pub mod history;
pub mod init;
pub mod new;
pub mod plan;
pub mod quarantine;
pub mod report;
pub mod status;
pub mod switch;
pub mod undo;
pub mod uninstall;

mod confirm;

/// Runs the command that was asked for.
///
/// # Errors
/// A [`Failure`], which the caller prints.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let global = &args.global;
    match args.command {
        Command::Init(command) => command.run(global).await?,
        Command::New(command) => command.run(&Session::new(global)?)?,
        Command::Plan(command) => return command.run(Session::new(global)?).await,
        Command::Expand(command) => command.run(Session::new(global)?).await?,
        Command::Switch(command) => command.run(&Session::new(global)?).await?,
        Command::Contract(command) => command.run(&Session::new(global)?).await?,
        Command::Undo(command) => command.run(&Session::new(global)?).await?,
        Command::Status(command) => command.run(&Session::new(global)?).await?,
        Command::History(command) => command.run(&Session::new(global)?).await?,
        Command::Report(command) => command.run(&Session::new(global)?).await?,
        Command::Quarantine(command) => command.run(&Session::new(global)?).await?,
        Command::Archive(command) => command.run(&Session::new(global)?).await?,
        Command::Apply(command) => command.run(Session::new(global)?).await?,
        Command::Baseline(command) => command.run(&Session::new(global)?).await?,
        Command::Accept(command) => command.run(&Session::new(global)?).await?,
        Command::Check(command) => return command.run(&Session::new(global)?).await,
        Command::Uninstall(command) => command.run(&Session::new(global)?).await?,
        Command::Demo(command) => return command.run(global).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run()?,
    }
    Ok(ExitCode::Ok)
}

/// A text that says something: for reasons that somebody will want to read.
fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        words => Ok(words.to_owned()),
    }
}

/// For commands that run new migrations.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Order {
    /// Run a new file although it sorts before one that has run; the event log notes it.
    #[arg(long)]
    allow_out_of_order: bool,
}

impl Order {
    /// Makes it so for this command.
    fn apply(self, session: &mut Session) {
        session.config.settings.allow_out_of_order = self.allow_out_of_order;
    }
}
