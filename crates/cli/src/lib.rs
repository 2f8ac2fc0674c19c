//! All contact with people: arguments, configuration, the migrations folder, rendering, exit codes.
//!
//! ```text
//! args ─▶ config (flag > environment > file > default) ─▶ folder ─▶ cmd/<verb> ─▶ concertina_run::Engine
//!                                                                     │
//!                              stdout: the answer (text or one JSON document, wire) ◀─┤
//!                              stderr: progress (render::progress), errors (failure) ◀─┘
//! ```
//!
//! Nothing in here decides what runs: plans come from `concertina_plan`, and are run by `concertina_run`.

use std::ffi::OsString;

use clap::Parser;

pub mod args;
pub mod config;
pub mod exit_code;
pub mod failure;
pub mod folder;

pub mod cmd;
pub mod demo;
mod session;
mod signal;

pub mod render;
pub mod report;
pub mod wire;

pub use exit_code::ExitCode;
use failure::Failure;

/// Runs the command line to its end, and prints everything there is to print.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match args::Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are errors to clap, with exit code 0. A closed pipe is nobody's problem.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok };
        }
    };
    args.global.color.apply();
    init_tracing(args.global.verbose);
    let format = args.global.format;
    // The panic's own message was printed by then; what is left to say is what any error says.
    let result = std::panic::catch_unwind(|| start(args)).unwrap_or_else(|_| {
        Err(Failure::unexpected("this is a defect of Concertina")
            .hint("Please report it with the lines above. Running the same command again is safe."))
    });
    match result {
        Ok(code) => code,
        Err(failure) => {
            render::failure::print(&failure, format);
            failure.code
        }
    }
}

fn start(args: args::Args) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start: {error}")))?
        .block_on(cmd::run(args))
}

/// Events of the libraries, for finding out what went wrong; `CONCERTINA_LOG` takes a filter as `RUST_LOG` does.
fn init_tracing(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let default = format!("warn,concertina={level},concertina_run={level},concertina_plan={level}");
    let filter = tracing_subscriber::EnvFilter::try_from_env("CONCERTINA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // A second call in one process, as in tests, keeps the first subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
