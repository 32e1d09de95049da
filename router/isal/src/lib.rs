//! ISA-L (Intel's storage acceleration library, igzip) behind a safe face: deflate in blocks that know nothing of each
//! other, and inflate of one gzip member's body. Optional, because its build needs nasm and autotools.
//!
//! All unsafe code of the project is in this crate. What it rests on: the two C structs are plain data, for which all
//! zeros is a value; pointers into a caller's slice are set before each call and never followed after it; `level_buf`
//! lives as long as the stream that points to it, at an address that does not move.

mod deflate;
mod inflate;

pub use deflate::Deflate;
pub use inflate::{Damaged, Inflate, Progress};

/// A length as ISA-L counts it: slices are handed over in pieces of at most this.
fn clamped(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
