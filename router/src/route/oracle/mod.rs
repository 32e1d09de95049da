//! The oracle: made-up records, and what must become of them by a reading that shares no code with the scanner.
//!
//! Only tests see it. It knows JSON and the documented limits; neither framing nor parts.

mod choices;
mod records;
mod reference;

pub(super) use choices::{Choices, for_a_while};
pub(super) use records::sequence;
pub(super) use reference::{Node, read};
