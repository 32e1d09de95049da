//! What crosses from the router to the loader, and the AWS that both stand on: settings, clients, queues; nothing else.
//!
//! A type that only one binary uses belongs to that binary's crate.

pub mod aws_error;
pub mod claim;
pub mod clients;
pub mod consumer;
pub mod event_name;
pub mod guarded;
pub mod keys;
pub mod lanes;
pub mod ledger;
pub mod load_request;
pub mod objects;
pub mod quarantine;
pub mod queue;
pub mod replace;
pub mod route_request;
pub mod seal;
pub mod seals;
pub mod settings;
pub mod shutdown;
pub mod sketch;
pub mod slots;
pub mod source;
pub mod swept;
pub mod telemetry;
pub mod timestamp;
pub mod value_type;
pub mod warehouse;
