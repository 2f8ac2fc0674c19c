//! `concertina completions` and `concertina man`.

use clap::CommandFactory;

use crate::args::Args;
use crate::failure::Failure;
use crate::render::answer;

/// Prints completions for a shell, to be put where the shell looks for them.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Shell.
    shell: clap_complete::Shell,
}

/// Prints a manual page: of the program, or of one of its commands.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Command, such as plan, or archive purge.
    command: Vec<String>,
}

impl Completions {
    pub(crate) fn run(self) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "concertina", &mut script);
        answer(&String::from_utf8_lossy(&script));
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut root = Args::command();
        root.build();
        let mut at = &root;
        for name in &self.command {
            at = at.find_subcommand(name).ok_or_else(|| {
                Failure::usage(format!("there is no command {}", self.command.join(" ")))
                    .hint("`concertina help` lists the commands")
            })?;
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(at.clone())
            .render(&mut page)
            .map_err(|error| Failure::unexpected(format!("cannot write the manual page: {error}")))?;
        answer(&String::from_utf8_lossy(&page));
        Ok(())
    }
}
