//! The scanner against rules that people can read, against a corpus, and against an oracle.

mod corpus;
mod oracle;
mod rules;
mod shapes;
