//! A raw object as a listing shows it, which is enough to tell whether it is sealed: no object is asked about.

use aws_sdk_s3::types::{Object, ObjectStorageClass};
use common::source::SourceId;
use time::OffsetDateTime;

/// A raw object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawObject {
    pub(crate) key: String,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    /// S3's Last-Modified: the time of the source.
    pub(crate) modified: OffsetDateTime,
    /// Whether it has to be restored before anybody can read it.
    pub(crate) is_archived: bool,
}

impl RawObject {
    /// Its identity.
    pub(crate) fn source_id(&self, bucket: &str) -> SourceId {
        SourceId::new(bucket, &self.key, &self.etag)
    }

    /// `key` is the object's, decoded.
    pub(super) fn of(object: &Object, key: String) -> Option<Self> {
        let modified = object.last_modified.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok())?;
        Some(Self {
            key,
            etag: object.e_tag.as_deref()?.trim_matches('"').to_owned(),
            bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            modified,
            is_archived: is_archived(object),
        })
    }
}

/// `GLACIER` and `DEEP_ARCHIVE` take a restore; `GLACIER_IR` is read directly, and of the tiers of `INTELLIGENT_TIERING` a
/// listing shows none (S3 user guide, archived-objects).
fn is_archived(object: &Object) -> bool {
    let archived = [ObjectStorageClass::Glacier, ObjectStorageClass::DeepArchive];
    let needs_restore = object.storage_class().is_some_and(|class| archived.contains(class));
    // A restored copy has a day on which it goes; one under way has none yet (S3 API, `RestoreStatus`).
    let is_restored = object.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    needs_restore && !is_restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::RestoreStatus;

    #[test]
    fn only_what_cannot_be_read_now_is_archived() {
        let of = |class: &str, restore: Option<RestoreStatus>| {
            let object = Object::builder().storage_class(ObjectStorageClass::from(class)).set_restore_status(restore);
            is_archived(&object.build())
        };
        let under_way = RestoreStatus::builder().is_restore_in_progress(true).build();
        let restored = RestoreStatus::builder().is_restore_in_progress(false);
        let restored = restored.restore_expiry_date(DateTime::from_secs(1)).build();
        let found = ["STANDARD", "GLACIER_IR", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE"].map(|c| of(c, None));
        assert_eq!(found, [false, false, false, true, true]);
        assert!(of("GLACIER", Some(under_way)) && !of("DEEP_ARCHIVE", Some(restored)));
    }
}
