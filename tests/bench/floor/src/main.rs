//! The least work by which a log file can be split per event type: decode, find the type in each line
//! without validating anything, compress per type, write. It is a yardstick, not a router: a broken line
//! goes wherever its bytes send it, there is no lineage, no sketch, no limit on memory.
//!
//! Codecs, levels and block shape are those of `router split`, so that the ratio of the two is the price
//! of what the router does beyond this.

mod args;
mod decode;
mod encode;
#[cfg(feature = "isal")]
mod isal;
mod lines;
mod split;

use std::process::ExitCode;

fn main() -> ExitCode {
    let done = args::parse(std::env::args().skip(1)).and_then(|args| split::split(&args));
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("floor: {problem}");
            ExitCode::FAILURE
        }
    }
}
