//! What a person sees while the pipeline works: bars on a terminal, a line per step elsewhere.

use crate::sql_command::query;
use common::clients::Clients;
use common::settings::Settings;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Watches seals and loads until it is told to finish.
pub(super) struct Progress {
    done: CancellationToken,
    task: JoinHandle<()>,
}

impl Progress {
    pub(super) fn start(settings: Settings, clients: Clients, files: u64, records: u64) -> Self {
        let done = CancellationToken::new();
        let stop = done.clone();
        let task = tokio::spawn(async move {
            let mut view = View::new(files, records);
            loop {
                let stopping = stop.is_cancelled();
                view.show(sealed(&settings, &clients).await, loaded(&settings, &clients).await);
                if stopping {
                    return view.end();
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
        });
        Self { done, task }
    }

    pub(super) async fn finish(self) {
        self.done.cancel();
        // It only draws: a failure of it is none of the pipeline.
        drop(self.task.await);
    }
}

async fn sealed(settings: &Settings, clients: &Clients) -> u64 {
    let prefix = format!("{}id/", settings.keys.seals);
    let keys = common::objects::list(&clients.s3, &settings.routed.bucket, &prefix).await;
    keys.map_or(0, |keys| keys.len() as u64)
}

async fn loaded(settings: &Settings, clients: &Clients) -> u64 {
    let sql = format!("SELECT COALESCE(SUM(rows_loaded), 0) FROM {}.loads", settings.loader.bookkeeping_schema);
    // Until the loader has made its tables there is nothing to ask.
    let rows = query(&clients.redshift, &settings.loader, &sql).await;
    rows.ok().and_then(|rows| rows.number()).unwrap_or(0)
}

/// Two bars, or lines that are printed when a step is complete.
struct View {
    bars: Option<[ProgressBar; 2]>,
    files: u64,
    shown: [u64; 2],
}

impl View {
    fn new(files: u64, records: u64) -> Self {
        let bars = std::io::stdout().is_terminal().then(|| {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("  {msg:<10} {wide_bar} {pos}/{len}").expect("a valid template");
            [("router", files), ("loader", records)]
                .map(|(name, length)| all.add(ProgressBar::new(length).with_style(style.clone()).with_message(name)))
        });
        Self { bars, files, shown: [0, 0] }
    }

    fn show(&mut self, sealed: u64, loaded: u64) {
        if let Some([files, records]) = &self.bars {
            files.set_position(sealed);
            records.set_position(loaded);
        } else if sealed != self.shown[0] {
            println!("  router     {sealed} of {} files routed and sealed", self.files);
        }
        self.shown = [sealed, loaded];
    }

    fn end(self) {
        for bar in self.bars.iter().flatten() {
            bar.finish_and_clear();
        }
        if self.bars.is_some() {
            println!("  router     {} of {} files routed and sealed", self.shown[0], self.files);
        }
        println!("  loader     {} rows committed", self.shown[1]);
    }
}
