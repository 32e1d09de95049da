//! What AWS charges, as far as a plan tells it: list prices, in one place with their date.

/// Where and when these prices held (AWS's price lists of S3 and SQS, first tier).
pub const PRICES_OF: &str = "us-east-1, November 2026";

/// Dollars for a request: PUT, COPY, POST and LIST of S3 Standard are $0.005 for 1,000.
pub(super) const S3_WRITE_OR_LIST: f64 = 0.005 / 1e3;

/// GET and all others of S3 Standard are $0.0004 for 1,000.
pub(super) const S3_READ: f64 = 0.0004 / 1e3;

/// A standard queue's requests are $0.40 a million, after a first million a month that is free.
pub(super) const SQS_REQUEST: f64 = 0.4 / 1e6;
