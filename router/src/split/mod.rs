//! `router split`: the same core and key layout on local files, without AWS.

use crate::route::object::{FetchFailed, RoutedObject, Rules, route_object};
use crate::route::pieces::{Piece, Spool, Workbench};
use crate::sealing::seal_of;
use anyhow::{Context, bail};
use common::keys::KeyLayout;
use common::seal::{Counts, SealedEvent};
use common::source::SourceObject;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use time::OffsetDateTime;

/// The bucket that local files are said to be in.
const LOCAL_BUCKET: &str = "local";

/// Identity given to a file instead of its own.
#[derive(Clone, Debug)]
pub struct SourceOverride {
    /// Bucket of `--source`.
    pub bucket: String,
    /// Key of `--source`.
    pub key: String,
    /// `--etag`.
    pub etag: String,
    /// `--time`.
    pub time: OffsetDateTime,
}

/// What splitting one file came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file, or its `--source`.
    pub source: String,
    /// Where every record went.
    pub counts: Counts,
    /// Records by event name.
    pub events: BTreeMap<String, u64>,
    /// Decompressed bytes of parts by event name, lineage included.
    pub event_bytes: BTreeMap<String, u64>,
    /// Parts written.
    pub parts: usize,
    /// The seal, below the output folder.
    pub seal: String,
}

/// Splits files (`-`: standard input) into `out` on `workers` threads, one file on each at a time. Hands over what
/// became of each file, in the order given; one that fails stops no other. `progress` hears of every stored byte read.
pub fn split_all(
    rules: &Rules,
    files: &[PathBuf],
    out: &Path,
    source: Option<&SourceOverride>,
    workers: usize,
    progress: &(impl Fn(u64) + Sync),
    mut done: impl FnMut(&Path, anyhow::Result<Report>),
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.min(files.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                let mut bench = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(number) else { return };
                    let report = split(rules, file, out, source, &mut bench, progress);
                    if sender.send((number, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (number, report) in receiver {
            waiting.insert(number, report);
            while let Some(report) = waiting.remove(&due) {
                done(&files[due], report);
                due += 1;
            }
        }
    });
}

fn split(
    rules: &Rules,
    file: &Path,
    out: &Path,
    source: Option<&SourceOverride>,
    bench: &mut Option<Workbench>,
    progress: &(impl Fn(u64) + Sync),
) -> anyhow::Result<Report> {
    let (stored, source): (Box<dyn Read + Send>, SourceObject) = match file.as_os_str() == "-" {
        true => (Box::new(io::stdin()), stdin_source(source)),
        false => {
            let opened = File::open(file).with_context(|| format!("could not open {}", file.display()))?;
            let source = file_source(file, &opened, source)?;
            (Box::new(opened), source)
        }
    };
    let bench = match bench {
        Some(bench) => bench,
        None => {
            let dir = rules.spool_dir().display();
            let new = rules.workbench().with_context(|| {
                format!(
                    "could not create a file in {dir}: name a folder that may be written as router.spool_dir, or TMPDIR"
                )
            })?;
            bench.insert(new)
        }
    };
    let mut routed = route_object(rules, &source, 0, Watched { stored, progress }, bench)
        .with_context(|| format!("could not split {}", file.display()))?;
    let seal = seal_of(&source, &rules.routing_id, &routed, source.time);
    let seal_key = rules.keys().seal(&seal.source_id, 0);
    let (seal_path, seal) = (out.join(&seal_key), seal.to_json());
    refuse_other_seal(&seal_path, &seal)?;
    let parts = std::mem::take(&mut routed.parts);
    let quarantine = std::mem::take(&mut routed.quarantine_pieces);
    let written = parts.len();
    for (key, piece) in parts.into_iter().chain(quarantine) {
        // One that is there has the same records: its name says so.
        write_piece(&out.join(key), bench.spool(), piece)?;
    }
    write_new(&seal_path, &mut seal.as_slice())?;
    refuse_other_seal(&seal_path, &seal)?;
    Ok(report(&source, &routed, written, seal_key))
}

/// A seal is written once: another one of the same source says where other parts are.
fn refuse_other_seal(path: &Path, seal: &[u8]) -> anyhow::Result<()> {
    match fs::read(path) {
        Ok(there) if there == seal => Ok(()),
        Ok(_) => bail!(
            "{} is there and says something else: split with the same settings, or into another folder",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

/// A reader that tells how far it is. Its errors are the disk's, never the object's: nothing may be sealed for them.
struct Watched<'a, R, P> {
    stored: R,
    progress: &'a P,
}

impl<R: Read, P: Fn(u64)> Read for Watched<'_, R, P> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.stored.read(out).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(FetchFailed(error.to_string())),
        })?;
        (self.progress)(read as u64);
        Ok(read)
    }
}

fn report(source: &SourceObject, routed: &RoutedObject, parts: usize, seal: String) -> Report {
    let source = if source.bucket == LOCAL_BUCKET { source.key.clone() } else { source.uri() };
    let events = routed.events.iter().map(|event| (event.event.to_string(), event.records)).collect();
    let bytes_of = |event: &SealedEvent| event.parts.iter().map(|part| part.bytes).sum();
    let event_bytes = routed.events.iter().map(|event| (event.event.to_string(), bytes_of(event))).collect();
    Report { source, counts: routed.counts.clone(), events, event_bytes, parts, seal }
}

/// Identity of a file: its path as given, its size and modification time.
fn file_source(path: &Path, file: &File, given: Option<&SourceOverride>) -> anyhow::Result<SourceObject> {
    let metadata = file.metadata().with_context(|| format!("could not read {}", path.display()))?;
    if metadata.is_dir() {
        bail!("{} is a folder: name its files", path.display());
    }
    let modified = OffsetDateTime::from(metadata.modified()?);
    let etag = format!("{}-{}", metadata.len(), modified.unix_timestamp_nanos());
    let own = SourceOverride { bucket: LOCAL_BUCKET.into(), key: path.display().to_string(), etag, time: modified };
    Ok(source_of(given.unwrap_or(&own), metadata.len()))
}

/// Standard input has no identity of its own: a fixed one, so that the same bytes give the same parts.
fn stdin_source(given: Option<&SourceOverride>) -> SourceObject {
    let (bucket, key, etag) = (LOCAL_BUCKET.to_owned(), "-".to_owned(), "stdin".to_owned());
    let own = SourceOverride { bucket, key, etag, time: OffsetDateTime::UNIX_EPOCH };
    source_of(given.unwrap_or(&own), 0)
}

fn source_of(SourceOverride { bucket, key, etag, time }: &SourceOverride, bytes: u64) -> SourceObject {
    let (bucket, key, etag) = (bucket.clone(), key.clone(), etag.clone());
    SourceObject { bucket, key, etag, version_id: None, time: *time, bytes }
}

fn write_piece(path: &Path, spool: &Spool, piece: Piece) -> anyhow::Result<()> {
    write_new(path, &mut spool.reader(piece.extents))
}

/// Writes a file under its final name only when it is whole, and never over one that is there, as we do on S3.
fn write_new(path: &Path, content: &mut impl Read) -> anyhow::Result<()> {
    let folder = path.parent().context("every key has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    let failed = || format!("could not write {}", path.display());
    // Readable as any other new file is: the process's mask takes off what it may not be.
    let mode = fs::Permissions::from_mode(0o666);
    let mut unfinished = tempfile::Builder::new().permissions(mode).tempfile_in(folder).with_context(failed)?;
    io::copy(content, &mut unfinished).with_context(failed)?;
    match unfinished.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error).with_context(failed),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The layout of `-o DIR` where no settings file says otherwise: the defaults.
pub fn default_keys() -> KeyLayout {
    KeyLayout { routed: "routed/".into(), seals: "seals/".into(), quarantine: "quarantine/".into() }
}

#[cfg(test)]
mod tests;
