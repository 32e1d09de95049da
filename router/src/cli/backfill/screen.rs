//! How far a backfill is, while a person waits: a bar on a terminal, a line every ten seconds elsewhere.

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use router::backfill::Progress;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Nothing sealed for this long is worth a word.
const SILENCE: f64 = 120.0;

pub(super) struct Screen {
    bar: Option<ProgressBar>,
    said_at: Instant,
}

impl Screen {
    pub(super) fn new(objects: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
            ProgressBar::new(objects).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, said_at: Instant::now() }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(progress.done);
                bar.set_message(rest(progress));
            }
            None if self.said_at.elapsed() >= LINE_EVERY => {
                self.said_at = Instant::now();
                eprintln!("{}", line(progress));
            }
            None => {}
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(progress: &Progress) -> String {
    let Progress { done, to_route, .. } = progress;
    let share = 100.0 * *done as f64 / to_route.objects.max(1) as f64;
    format!("{} of {} objects ({share:.1}%) {}", HumanCount(*done), HumanCount(to_route.objects), rest(progress))
}

/// What follows the number of objects.
fn rest(progress: &Progress) -> String {
    let eta = match progress.eta_seconds {
        Some(seconds) => format!("{} left", super::text::duration(seconds)),
        None => "time left not known yet".to_owned(),
    };
    let silence = match progress.idle_seconds >= SILENCE {
        true => {
            format!("; nothing sealed for {}: is a router running?", super::text::duration(progress.idle_seconds))
        }
        false => String::new(),
    };
    format!(
        "{}, {:.1} objects/s, {}/s, {} quarantined, {} in work; {eta}{silence}",
        HumanBytes(progress.sealed.bytes),
        progress.objects_per_second,
        HumanBytes(progress.bytes_per_second as u64),
        HumanCount(progress.quarantined),
        HumanCount(progress.in_work),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use router::backfill::Amount;

    #[test]
    fn a_line_tells_what_is_done_how_fast_and_until_when() {
        let mut progress = Progress {
            to_route: Amount { objects: 4_000, bytes: 1 << 30 },
            done: 1_000,
            sealed: Amount { objects: 1_000, bytes: 256 << 20 },
            quarantined: 3,
            in_work: 40,
            objects_per_second: 12.5,
            bytes_per_second: 3e6,
            eta_seconds: Some(240.0),
            ..Progress::default()
        };
        assert_eq!(
            line(&progress),
            "1,000 of 4,000 objects (25.0%) 256.00 MiB, 12.5 objects/s, 2.86 MiB/s, 3 quarantined, 40 in work; 4m left"
        );
        (progress.eta_seconds, progress.idle_seconds) = (None, 180.0);
        assert!(line(&progress).ends_with("time left not known yet; nothing sealed for 3m: is a router running?"));
    }
}
