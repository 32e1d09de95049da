//! Random runs: records are built from a list of choices, so that a failing list can be shortened to what matters.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// A list of choices, taken one by one. Where it has ended, every choice is the first: what is built must end there.
pub(in crate::route) struct Choices<'a>(std::slice::Iter<'a, u16>);

impl<'a> Choices<'a> {
    pub(in crate::route) fn new(choices: &'a [u16]) -> Self {
        Self(choices.iter())
    }

    pub(in crate::route) fn are_left(&self) -> bool {
        !self.0.as_slice().is_empty()
    }

    /// A number below `n`.
    pub(in crate::route) fn below(&mut self, n: usize) -> usize {
        self.0.next().map_or(0, |choice| usize::from(*choice) % n)
    }

    pub(in crate::route) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(in crate::route) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
}

/// Lists of choices for one test.
pub(in crate::route) fn choices(at_most: usize) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..at_most)
}

/// Runs `test` on random choices until the time is over: `seconds`, or as many as `FUZZ_SECONDS` says. `FUZZ_SEED`
/// repeats a run: the seed is printed, and a failing list of choices is shortened and printed too.
pub(in crate::route) fn for_a_while(
    seconds: f64,
    choices_at_most: usize,
    test: impl Fn(&mut Choices<'_>) -> TestCaseResult,
) {
    let time = Duration::from_secs_f64(from_env("FUZZ_SECONDS").unwrap_or(seconds));
    let seed = from_env("FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 16);
    println!("FUZZ_SEED={seed} repeats this run");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // What fails is shortened and printed; a committed test should keep it, not a file of seeds.
    let config = Config { cases: 20, failure_persistence: None, ..Config::default() };
    let mut seeds = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (begin, mut cases) = (Instant::now(), 0u32);
    // The first cases run whatever the time, so that a slow machine tests something too.
    while cases == 0 || begin.elapsed() < time {
        // A runner counts its successes for good, so each one runs once.
        let mut runner = TestRunner::new_with_rng(config.clone(), seeds.new_rng());
        let found = runner.run(&choices(choices_at_most), |list| test(&mut Choices::new(&list)));
        assert!(found.is_ok(), "FUZZ_SEED={seed}: {}", found.expect_err("it failed"));
        cases += config.cases;
    }
    println!("{cases} cases");
}

fn from_env<T: FromStr<Err: fmt::Debug>>(name: &str) -> Option<T> {
    let text = std::env::var_os(name)?.into_string().expect(name);
    Some(text.parse().expect(name))
}
