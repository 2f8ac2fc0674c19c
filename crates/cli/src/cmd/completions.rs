//! `concertina completions` and `concertina man`: for packagers.

use clap::CommandFactory;

use crate::args::Args;
use crate::failure::Failure;
use crate::render::answer;

/// Prints completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Shell.
    shell: clap_complete::Shell,
}

/// Prints the manual page.
#[derive(Debug, clap::Args)]
pub struct Man {}

impl Completions {
    pub(crate) fn run(self) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "concertina", &mut script);
        answer(&String::from_utf8_lossy(&script));
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut page = Vec::new();
        clap_mangen::Man::new(Args::command())
            .render(&mut page)
            .map_err(|error| Failure::unexpected(format!("cannot write the manual page: {error}")))?;
        answer(&String::from_utf8_lossy(&page));
        Ok(())
    }
}
