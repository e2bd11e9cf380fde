//! The daemon's program: arguments, then [`Daemon`](smtp_server::daemon::Daemon).

use std::process::ExitCode;

fn main() -> ExitCode {
    smtp_server::program::run()
}
