//! Load requests as they arrive: Poisson with a daily wave, tables by Zipf's law, sizes of log files' events.

use super::{Arrived, Scenario, table_name};
use crate::batch::Held;
use crate::batch::tests::held;
use common::load_request::{LoadRequest, PartsSource};
use common::seal::Part;
use std::time::Duration;
use tokio::time::Instant;

/// The day's rate swings by so much around its mean.
const WAVE: f64 = 0.6;

/// Decompressed bytes of a request: most are small, few are large.
const BYTES: [u64; 8] = [64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 1 << 20, 4 << 20, 16 << 20];

/// What a request's message takes.
const TEXT_BYTES: usize = 2_000;

pub(super) struct Arrivals {
    random: SplitMix,
    /// Sums of the tables' shares, the last one 1.
    shares: Vec<f64>,
    requests: Vec<LoadRequest>,
    mean_rate: f64,
    start: Instant,
    next_at: Instant,
}

impl Arrivals {
    pub(super) fn new(scenario: &Scenario, start: Instant) -> Self {
        let weights = (1..=scenario.tables).map(|rank| 1.0 / rank as f64);
        let total: f64 = weights.clone().sum();
        let shares = weights.scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        });
        let request = |table: usize| {
            let mut request = held("source", u32::from(!scenario.may_share), 0).request;
            request.event = table_name(table);
            request
        };
        let mut arrivals = Self {
            random: SplitMix(1),
            shares: shares.collect(),
            requests: (0..scenario.tables).map(request).collect(),
            mean_rate: scenario.requests_per_second,
            start,
            next_at: start,
        };
        arrivals.advance();
        arrivals
    }

    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn take(&mut self) -> Held<Arrived> {
        let one = self.request(self.next_at);
        self.advance();
        one
    }

    /// Old requests, all there at the beginning.
    pub(super) fn backfill(&mut self, requests: usize) -> Vec<Held<Arrived>> {
        let start = self.start;
        (0..requests).map(|_| self.request(start)).collect()
    }

    fn request(&mut self, at: Instant) -> Held<Arrived> {
        let (which, size) = (self.random.unit(), self.random.unit());
        let table = self.shares.partition_point(|share| *share < which).min(self.shares.len() - 1);
        let mut request = self.requests[table].clone();
        let bytes = BYTES[((size * BYTES.len() as f64) as usize).min(BYTES.len() - 1)];
        request.parts = PartsSource::Inline(vec![Part { key: String::new(), records: bytes / 500, bytes }]);
        Held { request, delivery: at, received: at, text_bytes: TEXT_BYTES }
    }

    fn advance(&mut self) {
        let day = (self.next_at - self.start).as_secs_f64() / (24.0 * 3600.0);
        let rate = self.mean_rate * (1.0 + WAVE * (std::f64::consts::TAU * day).sin());
        self.next_at += Duration::from_secs_f64(-(1.0 - self.random.unit()).ln() / rate);
    }
}

/// `SplitMix64`: the same numbers on every machine.
struct SplitMix(u64);

impl SplitMix {
    /// 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
