//! Storage classes, and what is archived: listed and described like any object, but not read before it is restored.
//!
//! A restore is done at once here (S3 takes minutes to hours) and lasts until the midnight after its days, as S3's does.

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::{Store, index, objects, timestamp};
use crate::clock;

const DAY_MS: i64 = 86_400_000;

/// Of those S3 has, the classes a `PutObject` to an ordinary bucket may name.
const CLASSES: [&str; 8] = [
    StorageClass::STANDARD,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::STANDARD_IA,
    StorageClass::ONEZONE_IA,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::GLACIER_IR,
    StorageClass::GLACIER,
    StorageClass::DEEP_ARCHIVE,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) class: String,
    /// Until when a restored copy of an archived object can be read.
    pub(super) restored_until_ms: Option<i64>,
}

impl Storage {
    pub(super) fn of(class: Option<&StorageClass>) -> S3Result<Self> {
        let class = class.map_or(StorageClass::STANDARD, StorageClass::as_str);
        if !CLASSES.contains(&class) {
            return Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid"));
        }
        Ok(Self { class: class.to_owned(), restored_until_ms: None })
    }

    fn is_archived(&self) -> bool {
        [StorageClass::GLACIER, StorageClass::DEEP_ARCHIVE].contains(&self.class.as_str())
    }

    fn restored_until(&self, now_ms: i64) -> Option<i64> {
        self.restored_until_ms.filter(|until| *until > now_ms)
    }

    pub(super) fn is_readable(&self) -> bool {
        !self.is_archived() || self.restored_until(clock::now_ms()).is_some()
    }

    /// `x-amz-storage-class`, which S3 leaves out for the standard class.
    pub(super) fn header(&self) -> Option<StorageClass> {
        (self.class != StorageClass::STANDARD).then(|| StorageClass::from(self.class.clone()))
    }

    /// `x-amz-restore`.
    pub(super) fn restore_header(&self) -> Option<String> {
        let until = self.restored_until(clock::now_ms())?;
        let mut text = Vec::new();
        timestamp(until).format(TimestampFormat::HttpDate, &mut text).ok()?;
        let date = String::from_utf8(text).ok()?;
        Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
    }

    pub(super) fn restore_status(&self) -> Option<RestoreStatus> {
        let until = self.restored_until(clock::now_ms())?;
        Some(RestoreStatus { is_restore_in_progress: Some(false), restore_expiry_date: Some(timestamp(until)) })
    }
}

/// What reading an archived object answers (`GetObject` page).
pub(super) fn not_readable() -> S3Error {
    s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class")
}

impl Store {
    pub(super) async fn restore_object(&self, request: S3Request<RestoreObjectInput>) -> S3Result<RestoreObjectOutput> {
        let input = request.input;
        objects::refuse_versions(input.version_id.as_deref(), None)?;
        let days =
            input.restore_request.and_then(|restore| restore.days).filter(|days| *days > 0).ok_or_else(|| {
                s3_error!(
                    MalformedXML,
                    "The XML you provided was not well-formed or did not validate against our published schema"
                )
            })?;
        let row = self.index.object(&input.bucket, &input.key)?;
        if !row.storage.is_archived() {
            return Err(s3_error!(InvalidObjectState, "Restore is not allowed for the object's current storage class"));
        }
        let until = expiry(clock::now_ms(), days);
        self.index.transaction(|tx| index::set_restored(tx, &input.bucket, &input.key, until))?;
        Ok(RestoreObjectOutput::default())
    }
}

/// "S3 adds the number of days to the time of the request and rounds up to the next midnight UTC" (`RestoreObject` page).
fn expiry(now_ms: i64, days: i32) -> i64 {
    let at = now_ms + i64::from(days) * DAY_MS;
    (at / DAY_MS + 1) * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glacier(restored_until_ms: Option<i64>) -> Storage {
        Storage { restored_until_ms, ..Storage::of(Some(&StorageClass::from_static(StorageClass::GLACIER))).unwrap() }
    }

    #[test]
    fn a_restored_copy_lasts_until_the_midnight_after_its_days() {
        assert_eq!(expiry(DAY_MS / 2, 1), 2 * DAY_MS);
        assert_eq!(expiry(0, 3), 4 * DAY_MS);
    }

    #[test]
    fn only_archived_objects_need_a_restore_and_it_ends() {
        assert!(Storage::of(None).unwrap().is_readable());
        assert!(!glacier(None).is_readable());
        assert!(glacier(Some(clock::now_ms() + DAY_MS)).is_readable());
        let ended = glacier(Some(clock::now_ms() - 1));
        assert!(!ended.is_readable());
        assert_eq!((ended.restore_header(), ended.restore_status()), (None, None));
    }

    #[test]
    fn an_unknown_class_is_refused() {
        let error = Storage::of(Some(&StorageClass::from("COLD".to_owned()))).unwrap_err();
        assert_eq!(error.code(), &s3s::S3ErrorCode::InvalidStorageClass);
    }
}
