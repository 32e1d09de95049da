//! COPY against the documented rules: what loads, what does not and with which code.

mod compress;
mod documented;
mod errors;
mod rules;
