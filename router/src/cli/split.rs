//! `router split`: its options, its progress bar, its output.

use super::{output, table};
use anyhow::Context;
use clap::Args;
use common::keys::PartCodec;
use common::settings::{POINTERS_MAX, RouterSettings, Settings, pointer_problem};
use common::telemetry::chain;
use indicatif::{ProgressBar, ProgressStyle};
use router::route::object::Rules;
use router::split::{self, SourceOverride};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

#[derive(Debug, Args)]
pub(super) struct SplitArgs {
    /// Files to split; - reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for routed/, seals/ and quarantine/
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// JSON pointer to the event type, tried in order [default: the settings', else /event]
    #[arg(long, value_name = "POINTER")]
    event_type: Vec<String>,
    /// JSON pointer to the array of records in every root value [default: the settings', else none]
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    unwrap: Option<String>,
    /// Route records without the member _lr
    #[arg(long)]
    no_lineage: bool,
    /// Seal without sketches: for measurements only, no loader could use it
    #[arg(long, hide = true)]
    no_sketch: bool,
    /// How parts are compressed [default: the settings', else gzip]
    #[arg(long, value_name = "CODEC", value_parser = ["gzip", "zstd"])]
    part_codec: Option<String>,
    /// 1 (fast) to 9 (small) [default: the settings', else 2]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u32).range(1..=9))]
    gzip_level: Option<u32>,
    /// 1 (fast) to 19 (small) [default: the settings', else 1]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u32).range(1..=19))]
    zstd_level: Option<u32>,
    /// Files split at once, each on a thread of its own [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Print one JSON object per file instead of a table
    #[arg(long)]
    json: bool,
    /// Identity of the one FILE: <s3://bucket/key> (needs --etag and --time)
    #[arg(long, requires_all = ["etag", "time"], value_name = "URI")]
    source: Option<String>,
    /// ETag of --source
    #[arg(long, requires = "source")]
    etag: Option<String>,
    /// Last-Modified of --source, RFC 3339
    #[arg(long, requires = "source", value_name = "TIME")]
    time: Option<String>,
}

/// Stands for the settings file where there is none: the defaults. Nothing of AWS is asked for.
const NO_FILE: &str = r#"
[raw]
bucket = "raw"
queue = "raw"
[routed]
bucket = "routed"
queue = "routed"
[router]
event_type = ["/event"]
[loader]
database = "none"
workgroup = "none"
"#;

fn pointer(text: &str) -> Result<String, String> {
    match pointer_problem(text) {
        None => Ok(text.to_owned()),
        Some(problem) => Err(problem),
    }
}

impl SplitArgs {
    /// Splits all files; fails in the end if one of them failed.
    pub(super) fn run(&self, config: Option<&Path>) -> anyhow::Result<()> {
        let stdins = self.files.iter().filter(|file| file.as_os_str() == "-").count();
        anyhow::ensure!(stdins < 2, "- is given {stdins} times: standard input can be read once");
        let settings = Settings::load_or(config, NO_FILE)?;
        let mut rules = Rules::new(&self.overriding(settings.router)?, &settings.keys);
        rules.sketch = !self.no_sketch;
        let source = self.source_override()?;
        let workers = self.workers.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);

        let bar = self.progress_bar();
        let mut totals = table::Totals::default();
        let mut failed = 0;
        let mut output = output::stdout();
        let mut said = Ok(());
        split::split_all(
            &rules,
            &self.files,
            &self.out,
            source.as_ref(),
            workers,
            &|bytes| bar.inc(bytes),
            |_, report| {
                let line = match report {
                    Err(error) => {
                        failed += 1;
                        bar.suspend(|| eprintln!("router: {}", chain(error.as_ref())));
                        return;
                    }
                    Ok(report) if self.json => serde_json::to_string(&report).map_err(io::Error::from),
                    Ok(report) => {
                        totals.add(&report);
                        Ok(table::file_line(&report))
                    }
                };
                if said.is_ok() {
                    said = bar.suspend(|| output.say(format_args!("{}\n", line?)));
                }
            },
        );
        bar.finish_and_clear();
        if !self.json && totals.files > 0 {
            said = said.and_then(|()| output.say(format_args!("\n{totals}")));
        }
        said.context("could not write to standard output")?;
        anyhow::ensure!(failed == 0, "{failed} of {} files could not be split", self.files.len());
        Ok(())
    }

    /// The settings with what the command line says otherwise.
    fn overriding(&self, mut settings: RouterSettings) -> anyhow::Result<RouterSettings> {
        if !self.event_type.is_empty() {
            settings.event_type.clone_from(&self.event_type);
        }
        for given in &settings.event_type {
            pointer(given).map_err(|why| anyhow::anyhow!("--event-type {why}"))?;
        }
        let pointers = settings.event_type.len() + settings.rules.drop_pointers();
        anyhow::ensure!(pointers <= POINTERS_MAX, "--event-type: with drop rules, at most {POINTERS_MAX} pointers");
        settings.unwrap = self.unwrap.clone().or(settings.unwrap);
        settings.lineage &= !self.no_lineage;
        match self.part_codec.as_deref() {
            Some("zstd") => settings.part_codec = PartCodec::Zstd,
            Some(_) => settings.part_codec = PartCodec::Gzip,
            None => {}
        }
        settings.gzip_level = self.gzip_level.unwrap_or(settings.gzip_level);
        settings.zstd_level = self.zstd_level.unwrap_or(settings.zstd_level);
        Ok(settings)
    }

    fn source_override(&self) -> anyhow::Result<Option<SourceOverride>> {
        let (Some(uri), Some(etag), Some(time)) = (&self.source, &self.etag, &self.time) else { return Ok(None) };
        anyhow::ensure!(self.files.len() == 1, "--source gives one identity: name one FILE");
        let parts = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, key) = parts.with_context(|| format!("--source {uri:?} is not s3://bucket/key"))?;
        let time = common::timestamp::parse(time).with_context(|| format!("--time {time:?} is not RFC 3339"))?;
        Ok(Some(SourceOverride { bucket: bucket.into(), key: key.into(), etag: etag.clone(), time }))
    }

    /// Over the stored bytes of all files; shown on a terminal only. Of standard input nobody knows the length.
    fn progress_bar(&self) -> ProgressBar {
        let sizes = self.files.iter().map(|file| file.metadata().map(|data| data.len()).ok());
        let (bar, style) = match sizes.sum::<Option<u64>>() {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"),
            None => (ProgressBar::no_length(), "{spinner} {bytes} read, {bytes_per_sec}"),
        };
        bar.with_style(ProgressStyle::with_template(style).expect("a constant template that a test renders"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        split: SplitArgs,
    }

    #[test]
    fn standard_input_can_be_named_once() {
        let arguments = ["split", "-", "-", "-o", "out"];
        let error = Only::parse_from(arguments).split.run(None).expect_err("refused");
        assert!(error.to_string().contains("standard input can be read once"), "{error}");
    }

    #[test]
    fn what_stands_for_a_missing_settings_file_are_the_defaults() {
        let settings = Settings::parse(Path::new("none"), NO_FILE, Default::default()).expect("valid");
        assert_eq!(format!("{:?}", settings.router), format!("{:?}", RouterSettings::default()));
        assert_eq!(settings.keys, split::default_keys());
    }

    #[test]
    fn the_progress_bar_knows_files_and_standard_input() {
        for (file, length) in
            [(file!().rsplit('/').next().expect("a name"), None), ("-", None), ("Cargo.toml", Some(()))]
        {
            let arguments = ["split", file, "-o", "out"];
            let bar = Only::parse_from(arguments).split.progress_bar();
            assert_eq!(bar.length().map(|_| ()), length, "{file}");
        }
    }
}
