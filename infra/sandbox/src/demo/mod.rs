//! `sandbox demo`: the whole pipeline on the fixtures, in one process, ending with the balance.
//!
//! Router and loader are the ones that run in production, linked as libraries; only the endpoint is
//! local. The count of records that went in is made here, from the files, not taken from the router.

mod progress;
mod report;

use crate::{Sandbox, SandboxOptions, provision};
use anyhow::Context;
use common::clients::Clients;
use common::settings::Settings;
use flate2::read::MultiGzDecoder;
use progress::Progress;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The settings of the repository, with small waits: nobody watches a demo for a minute.
const SETTINGS: &str = include_str!("../../../../log-router.toml");

/// Both queues are quiet this long before the pipeline counts as done.
const IDLE: Duration = Duration::from_secs(1);

/// Runs the demo. An error, or a balance that does not hold, is a failure.
pub(crate) async fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("could not make a temporary folder")?;
    let env = BTreeMap::from([("LOG_ROUTER_LOADER_FLUSH_AGE".to_owned(), "1s".to_owned())]);
    let settings = Settings::parse(Path::new("log-router.toml"), SETTINGS, env)?;
    let files = sample_files()?;
    println!("Log Router demo: {} raw log files of a made-up shop become one table per event\n", files.len());

    let sandbox = Sandbox::start(SandboxOptions { port: 0, dir: dir.path().to_owned() }).await?;
    let clients = Clients::for_endpoint(&sandbox.endpoint()).await;
    provision::provision(&settings, &clients).await?;
    println!("  sandbox    S3, SQS and the Redshift Data API on {}", sandbox.endpoint());

    let outcome = pipeline(&settings, &clients, &files).await;
    sandbox.stop().await;
    match outcome?.balances() {
        true => Ok(()),
        false => anyhow::bail!("the balance does not hold: records in ≠ loaded + quarantined"),
    }
}

async fn pipeline(settings: &Settings, clients: &Clients, files: &[PathBuf]) -> anyhow::Result<report::Report> {
    let mut records_in = 0;
    for file in files {
        records_in += count_records(file)?;
        let key = file.strip_prefix(fixtures::sample::folder()).unwrap_or(file).display().to_string();
        let body = aws_sdk_s3::primitives::ByteStream::from_path(file).await?;
        clients.s3.put_object().bucket(&settings.raw.bucket).key(&key).body(body).send().await?;
    }
    println!("  upload     {} files with {records_in} records to s3://{}/", files.len(), settings.raw.bucket);

    let progress = Progress::start(settings.clone(), clients.clone(), files.len() as u64, records_in);
    let (for_router, router_clients) = (settings.clone(), clients.clone());
    let router =
        tokio::spawn(
            async move { router::run(&for_router, &router_clients, Some(IDLE), CancellationToken::new()).await },
        );
    // The loader may find its queue empty before the router has sent anything: it runs until it ends after the router.
    loop {
        let router_is_done = router.is_finished();
        loader::run(settings, clients, Some(IDLE), CancellationToken::new()).await?;
        if router_is_done {
            break;
        }
    }
    router.await??;
    progress.finish().await;

    let report = report::Report::collect(settings, clients, records_in).await?;
    report.print(settings, clients).await?;
    Ok(report)
}

/// The committed sample, in order.
fn sample_files() -> anyhow::Result<Vec<PathBuf>> {
    let folder = fixtures::sample::folder();
    let files = fixtures::sample::files().map(|file| folder.join(file.key));
    match files.iter().find(|file| !file.exists()) {
        Some(missing) => anyhow::bail!("{} is missing: run the demo from a clone of the repository", missing.display()),
        None => Ok(files.into()),
    }
}

/// Lines with something in them.
fn count_records(file: &Path) -> anyhow::Result<u64> {
    let opened = std::fs::File::open(file).with_context(|| format!("could not open {}", file.display()))?;
    let mut lines = BufReader::new(MultiGzDecoder::new(opened));
    let (mut count, mut line) = (0, Vec::new());
    while lines.read_until(b'\n', &mut line)? > 0 {
        count += u64::from(!line.trim_ascii().is_empty());
        line.clear();
    }
    Ok(count)
}
