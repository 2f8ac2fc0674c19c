//! One file a command: its arguments, whose doc comment is the help, and what it does.

use crate::args::{Args, Command};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::session::Session;

pub mod apply;
pub mod archive;
pub mod completions;
pub mod contract;
pub mod demo;
pub mod expand;
pub mod history;
pub mod init;
pub mod new;
pub mod plan;
pub mod report;
pub mod status;
pub mod undo;

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
        Command::Plan(command) => return command.run(&Session::new(global)?).await,
        Command::Expand(command) => command.run(&Session::new(global)?).await?,
        Command::Contract(command) => command.run(&Session::new(global)?).await?,
        Command::Undo(command) => command.run(&Session::new(global)?).await?,
        Command::Status(command) => command.run(&Session::new(global)?).await?,
        Command::History(command) => command.run(&Session::new(global)?).await?,
        Command::Report(command) => command.run(&Session::new(global)?).await?,
        Command::Archive(command) => command.run(&Session::new(global)?).await?,
        Command::Apply(command) => command.run(&Session::new(global)?).await?,
        Command::Demo(command) => return command.run(global).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run()?,
    }
    Ok(ExitCode::Ok)
}
