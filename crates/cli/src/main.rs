//! The `concertina` command: everything is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    concertina::main(std::env::args_os()).into()
}
