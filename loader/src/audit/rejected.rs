//! What COPY refused of a source whose ledger row is gone: its quarantine object may still be there.

use super::seals::Store;
use common::aws_error::AwsError;
use common::objects;
use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead, BufReader};

/// The quarantine object under this prefix that holds so many records, if there is one. Of a load that was tried several times
/// there may be more; one with another number of records does not belong to the rows that are there.
pub(super) async fn quarantined(
    store: &Store,
    bucket: &str,
    prefix: &str,
    records: u64,
) -> Result<Option<String>, AwsError> {
    for key in objects::list(&store.s3, bucket, prefix).await? {
        let bytes = objects::get(&store.s3, bucket, &key).await?;
        // One that cannot be read is no evidence.
        if lines(&bytes).is_ok_and(|lines| lines == records) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

fn lines(stored: &[u8]) -> std::io::Result<u64> {
    let (mut reader, mut lines) = (BufReader::new(MultiGzDecoder::new(stored)), 0);
    loop {
        let held = reader.fill_buf()?;
        if held.is_empty() {
            return Ok(lines);
        }
        lines += held.iter().filter(|byte| **byte == b'\n').count() as u64;
        let held = held.len();
        reader.consume(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_quarantine_object_holds_as_many_records_as_it_has_lines() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{}\n{}\n").unwrap();
        let stored = encoder.finish().unwrap();
        assert_eq!(lines(&stored).unwrap(), 2);
        assert!(lines(&stored[..10]).is_err());
    }
}
