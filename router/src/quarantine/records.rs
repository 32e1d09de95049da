//! The records of a quarantine object, one after the other.

use super::{HeldObject, Quarantine, QuarantineError};
use bytes::Bytes;
use common::objects;
use common::quarantine::QuarantinedRecord;
use common::seal::Seal;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader};

/// A quarantine object that is not what its seal or ledger says.
#[derive(Debug, thiserror::Error)]
#[error("the quarantine object s3://{bucket}/{key} cannot be read")]
pub struct Unreadable {
    bucket: String,
    key: String,
    #[source]
    source: io::Error,
}

/// Gives each record of a stored quarantine object; fails at its end if there were not as many as `expected`. Holds one
/// record at a time.
pub fn records(stored: &[u8], expected: u64) -> impl Iterator<Item = io::Result<QuarantinedRecord>> {
    let mut decoder = BufReader::new(MultiGzDecoder::new(stored));
    let (mut line, mut count, mut is_over) = (Vec::new(), 0, false);
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        line.clear();
        match decoder.read_until(b'\n', &mut line) {
            Ok(0) => {
                is_over = true;
                let what = || format!("it has {count} records where {expected} are named");
                (count != expected).then(|| Err(io::Error::new(io::ErrorKind::InvalidData, what())))
            }
            Ok(_) => {
                count += 1;
                let record = serde_json::from_slice(&line).map_err(io::Error::from);
                is_over = record.is_err();
                Some(record)
            }
            Err(error) => {
                is_over = true;
                Some(Err(error))
            }
        }
    })
}

impl Quarantine {
    /// A quarantine object as it is stored: it is no longer than a part.
    pub async fn read(&self, object: &HeldObject) -> Result<Bytes, QuarantineError> {
        Ok(objects::get(&self.s3, &self.bucket, &object.key).await?)
    }

    /// Marks a quarantine object that was read as unreadable.
    pub fn unreadable(&self, object: &HeldObject, source: io::Error) -> QuarantineError {
        Unreadable { bucket: self.bucket.clone(), key: object.key.clone(), source }.into()
    }

    /// Whether a record is of the selected event. Of what COPY refused the ledger says so, and no record is looked at.
    pub fn is_of_event(&self, seal: &Seal, object: &HeldObject, wanted: &str, record: &QuarantinedRecord) -> bool {
        match &object.event {
            Some(event) => event.as_str() == wanted,
            None => self.events.of(&seal.source, record).is_some_and(|event| event.as_str() == wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const LINE: &str = r#"{"source":"s3://raw/k","source_id":"5c4228050321fa0aba7816bf8f01cfea","generation":0,"line":3,"reason":"not_json","detail":"d","raw":"x"}"#;

    fn stored(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn an_object_has_as_many_records_as_it_is_said_to_have() {
        let two = stored(&format!("{LINE}\n{LINE}\n"));
        let read = |expected| records(&two, expected).map(|record| record.map(|r| r.line).ok()).collect::<Vec<_>>();
        assert_eq!(read(2), [Some(3), Some(3)]);
        assert_eq!(read(3), [Some(3), Some(3), None]);
    }

    #[test]
    fn reading_ends_at_what_is_no_record() {
        for broken in [stored(&format!("{LINE}\nx\n{LINE}\n")), stored(&format!("{LINE}\n{LINE}\n"))[..40].to_vec()] {
            let read: Vec<_> = records(&broken, 3).collect();
            assert!(read.len() <= 2 && read.last().expect("one at least").is_err(), "{read:?}");
        }
    }
}
