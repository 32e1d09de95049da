//! The sources of a plan, in a file that is unlinked: a plan holds no memory for them, however many there are.

use super::raw::{Contents, Raw};
use common::route_request::{Replace, RouteRequest, Why};
use common::seal::Seal;
use common::source::SourceId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;

/// A source that is to be routed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) etag: String,
    /// Where its contents are not the current ones of their key.
    pub(super) version_id: Option<String>,
    /// The generation to be made.
    pub(super) generation: u32,
}

impl Due {
    /// The generation after a seal, of contents that were found.
    pub(super) fn after(seal: &Seal, raw: Raw) -> Self {
        let version_id = match raw {
            Raw::Version(version) => Some(version),
            Raw::Current | Raw::Refused(_) => None,
        };
        let source = &seal.source;
        let (bucket, key, etag) = (source.bucket.clone(), source.key.clone(), source.etag.clone());
        Self { bucket, key, etag, version_id, generation: seal.generation + 1 }
    }

    pub(super) fn source_id(&self) -> SourceId {
        SourceId::new(&self.bucket, &self.key, &self.etag)
    }

    pub(super) fn contents(&self) -> Contents<'_> {
        let Self { bucket, key, etag, version_id, .. } = self;
        Contents { bucket, key, etag, version_id: version_id.as_deref() }
    }

    pub(super) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// What a router is asked.
    pub(super) fn request(&self, id: &str, routing_id: &str) -> RouteRequest {
        let mut request = RouteRequest::new(&self.bucket, &self.key, &self.etag, Why::Replay);
        request.version_id = self.version_id.clone();
        let (id, routing_id) = (id.to_owned(), Some(routing_id.to_owned()));
        request.replace = Some(Replace { id, generation: self.generation, routing_id });
        request
    }
}

/// Takes sources in.
#[derive(Debug)]
pub(super) struct DueWriter(BufWriter<File>);

/// Gives them back in their order.
#[derive(Debug)]
pub(super) struct DueReader(BufReader<File>);

impl DueWriter {
    /// A file in this folder.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::new(tempfile::tempfile_in(dir)?)))
    }

    pub(super) fn push(&mut self, due: &Due) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, due)?;
        self.0.write_all(b"\n")
    }

    pub(super) fn finish(self) -> io::Result<DueReader> {
        let mut file = self.0.into_inner()?;
        file.rewind()?;
        Ok(DueReader(BufReader::new(file)))
    }
}

impl DueReader {
    /// The next one.
    pub(super) fn next(&mut self) -> io::Result<Option<Due>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_whatever_keys_hold() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = DueWriter::new(dir.path()).expect("a file");
        let due = |key: &str, version: Option<&str>| Due {
            bucket: "raw".into(),
            key: key.into(),
            etag: "e".into(),
            version_id: version.map(str::to_owned),
            generation: 3,
        };
        let all = [due("a\nb\"é\u{1}", None), due("c", Some("v1"))];
        all.iter().for_each(|due| writer.push(due).expect("written"));
        let mut reader = writer.finish().expect("rewound");
        assert_eq!([reader.next().expect("read"), reader.next().expect("read")], all.map(Some));
        assert_eq!(reader.next().expect("read"), None);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_request_asks_for_the_next_generation_by_these_rules() {
        let due = Due {
            bucket: "raw".into(),
            key: "k".into(),
            etag: "e".into(),
            version_id: Some("v".into()),
            generation: 2,
        };
        let request = due.request("id", "01234567");
        assert_eq!((request.why, request.version_id.as_deref()), (Why::Replay, Some("v")));
        let replace = Replace { id: "id".into(), generation: 2, routing_id: Some("01234567".into()) };
        assert_eq!(request.replace, Some(replace));
    }
}
