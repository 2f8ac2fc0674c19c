//! `concertina demo`

use crate::args::Global;
use crate::failure::Failure;

/// Shows what it is good for: one migration file, run naively and with Concertina, under the same traffic.
#[derive(Debug, clap::Args)]
pub struct Demo {}

impl Demo {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let _ = global;
        Err(Failure::unexpected("the demo has not landed yet"))
    }
}
