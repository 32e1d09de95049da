//! The two small objects that a COPY reads beside its parts: manifest and JSONPaths file.
//!
//! Named by their content, so writing them again changes nothing, and written before the transaction.

use crate::groups::Group;
use common::aws_error::AwsError;
use common::event_name::EventName;
use common::keys::KeyLayout;
use common::objects;
use sha2::{Digest, Sha256};

/// Where one group's inputs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyInputs {
    pub(crate) manifest_uri: String,
    pub(crate) jsonpaths_uri: String,
}

/// Writes what is not there yet.
pub(crate) async fn write(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    keys: &KeyLayout,
    event: &EventName,
    group: &Group,
) -> Result<CopyInputs, AwsError> {
    Ok(CopyInputs {
        manifest_uri: write_manifest(s3, bucket, keys, event, &group.parts).await?,
        jsonpaths_uri: put(s3, bucket, keys, event, "jsonpaths", jsonpaths(&group.jsonpaths)).await?,
    })
}

/// A manifest of these parts alone; gives its URI.
pub(crate) async fn write_manifest(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    keys: &KeyLayout,
    event: &EventName,
    parts: &[String],
) -> Result<String, AwsError> {
    put(s3, bucket, keys, event, "manifest", manifest(bucket, parts)).await
}

async fn put(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    keys: &KeyLayout,
    event: &EventName,
    kind: &str,
    body: String,
) -> Result<String, AwsError> {
    let hash: String = Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let key = keys.load_object(kind, event, &hash);
    objects::put_bytes_if_absent(s3, bucket, &key, body).await?;
    Ok(format!("s3://{bucket}/{key}"))
}

/// `mandatory`: a part that is gone must fail the load (database developer guide, `loading-data-files-using-manifest`).
fn manifest(bucket: &str, parts: &[String]) -> String {
    let entries: Vec<_> =
        parts.iter().map(|key| serde_json::json!({"url": format!("s3://{bucket}/{key}"), "mandatory": true})).collect();
    serde_json::json!({ "entries": entries }).to_string()
}

fn jsonpaths(expressions: &[String]) -> String {
    serde_json::json!({ "jsonpaths": expressions }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_manifest_is_mandatory() {
        assert_eq!(
            manifest("b", &["a.gz".into(), "\"b\".gz".into()]),
            r#"{"entries":[{"mandatory":true,"url":"s3://b/a.gz"},{"mandatory":true,"url":"s3://b/\"b\".gz"}]}"#
        );
        assert_eq!(jsonpaths(&["$['a']".into(), "$".into()]), r#"{"jsonpaths":["$['a']","$"]}"#);
    }
}
