//! The SQL engine as a user meets it: statements in, rows or Redshift's error out.

mod definitions;
mod functions;
mod loader;
mod queries;
mod types;
