//! End to end: the sandbox on a free port, the real router and loader, driven through the AWS SDK.

/// One sandbox with everything a test asks of it.
mod stack;

/// Bad days of the sandbox, asked for.
mod faults;

/// What is logged.
mod logs;

/// The real binaries, started, watched and killed as processes.
mod process;
mod proven;

/// Log files become tables, and every record is accounted for.
mod pipeline;

/// Raw files and parts of every codec.
mod codecs;

/// More parts of one event, and more events, than messages like to hold.
mod many;

/// Messages come again; rows do not.
mod redelivery;

/// Two routers, two settings, two contents of one key: one wins, nothing is lost or doubled.
mod races;

/// What queues, proxies, broken uploads and chance do to the router at its edges.
mod edges;

/// Tables grow with what the files bring.
mod schema;

/// Every value of every record, read back from its column.
mod accounted;

/// Parts that mix types, sketches that hide keys, and every odd value: all of it is in the tables, unchanged.
mod misfits;

/// Tables that keep the columns they have.
mod frozen;

/// Grants, and the view of the newest rows.
mod readers;

/// The queries of docs/tables.md.
mod questions;

/// `loader tables` and `loader plan`.
mod tables_and_plan;

/// Tables that people touch, replaces, and batches that hold a culprit.
mod loading;

/// What cannot be loaded stops its table and nothing else.
mod failures;

/// Redshift's errors, each with what happens then.
mod bad_days;
/// Records that COPY refuses cost themselves alone.
mod rejected;

/// `router quarantine`: what is kept aside is listed, shown and tried again.
mod quarantine_replay;

/// Loads whose outcome nobody was told.
mod outcomes;

/// A clock that jumps.
mod simulated;

/// Half an hour without a warehouse.
mod outages;

/// What is sealed and not loaded is found, announced again and told of.
mod sweep;

/// Every record is accounted for, and damage is found and repaired.
mod audit;

/// What `log_router.complete` says, held against the truth.
mod vouched;

/// Raw objects that no notification told of, and what an hour's mark vouches for.
mod router_sweep;

/// Lanes, shared transactions, and what becomes of a load that SIGTERM cannot wait for.
mod batching;

/// Whole objects routed again: exactly the new rows, whatever races, dies or comes late.
mod replace;

/// Months of old objects, planned, routed, resumed and replaced.
mod backfill;
/// The backfill lane of the router, and requests for objects that may be sealed.
mod lanes;

/// How fast a backfill passes what is sealed.
mod passed;

/// SIGKILL and SIGTERM at awkward moments.
mod killed;

/// An endpoint that holds chosen requests up.
mod held;

/// An S3 whose answers about one object are altered.
mod altered;

/// An endpoint that says one word for another.
mod reworded;

/// The router as a service: overlap, heartbeat, drain, and objects that keep failing.
mod service;

/// Wrong settings and missing parts stop the start with one clear message.
mod start;

/// `router split`: the same core on local files.
mod split;

/// The sandbox as a person uses it.
mod sandbox_commands;

/// Ninety days of old objects backfilled while live ones arrive, everything killed ten times, and a week replaced.
mod life;
