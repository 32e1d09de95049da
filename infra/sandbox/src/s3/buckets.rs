//! Buckets: create, look, list, delete, and their notification configuration.

use rusqlite::params;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::index::{self, db};
use super::{Store, caller_of, notifications, timestamp};
use crate::{DEFAULT_REGION, clock};

impl Store {
    pub(super) async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<CreateBucketOutput> {
        let name = &request.input.bucket;
        let wanted =
            request.input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
        let region = wanted
            .map(|constraint| constraint.as_str().to_owned())
            .filter(|region| !region.is_empty())
            .unwrap_or_else(|| caller_of(&request.extensions).region);
        self.index.transaction(|tx| {
            if let Some(existing) = index::find_bucket(tx, name)? {
                // In us-east-1, and only there, creating one's own bucket again succeeds ("CreateBucket" page).
                return if existing.region == DEFAULT_REGION {
                    Ok(())
                } else {
                    Err(s3_error!(
                        BucketAlreadyOwnedByYou,
                        "Your previous request to create the named bucket succeeded and you already own it."
                    ))
                };
            }
            tx.prepare_cached("INSERT INTO buckets (name, region, created_ms) VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![name, region, clock::now_ms()]))
                .map_err(db)?;
            Ok(())
        })?;
        Ok(CreateBucketOutput { location: Some(format!("/{name}")) })
    }

    pub(super) async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<DeleteBucketOutput> {
        let name = &request.input.bucket;
        let contents = self.index.transaction(|tx| {
            index::bucket(tx, name)?;
            let has_objects: bool = tx
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)")
                .and_then(|mut select| select.query_row([name], |row| row.get(0)))
                .map_err(db)?;
            if has_objects {
                return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
            }
            let contents = super::uploads::remove_all(tx, name)?;
            tx.execute("DELETE FROM buckets WHERE name = ?1", [name]).map_err(db)?;
            Ok(contents)
        })?;
        contents.iter().for_each(|content| self.content.remove(content));
        Ok(DeleteBucketOutput::default())
    }

    pub(super) async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
        let bucket = self.index.transaction(|tx| index::bucket(tx, &request.input.bucket))?;
        Ok(HeadBucketOutput { bucket_region: Some(bucket.region), ..Default::default() })
    }

    pub(super) async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
        let prefix = request.input.prefix.unwrap_or_default();
        let after = request.input.continuation_token.unwrap_or_default();
        let limit = usize::try_from(request.input.max_buckets.unwrap_or(10_000)).unwrap_or(10_000).max(1);
        let mut rows = self.index.transaction(|tx| {
            let mut select = tx
                .prepare_cached(
                    "SELECT name, region, created_ms, notifications FROM buckets WHERE name > ?1 ORDER BY name",
                )
                .map_err(db)?;
            let rows = select.query_map([&after], index::read_bucket).map_err(db)?;
            rows.collect::<rusqlite::Result<Vec<_>>>().map_err(db)
        })?;
        rows.retain(|row| row.name.starts_with(&prefix));
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(ListBucketsOutput {
            continuation_token: rows.last().filter(|_| more).map(|row| row.name.clone()),
            buckets: Some(
                rows.into_iter()
                    .map(|row| Bucket {
                        name: Some(row.name),
                        creation_date: Some(timestamp(row.created_ms)),
                        bucket_region: Some(row.region),
                    })
                    .collect(),
            ),
            owner: Some(Owner { id: Some(crate::ACCOUNT_ID.to_owned()), ..Default::default() }),
            prefix: (!prefix.is_empty()).then_some(prefix),
        })
    }

    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        let bucket = self.index.transaction(|tx| index::bucket(tx, &request.input.bucket))?;
        // "Buckets in us-east-1 have a LocationConstraint of null" (`GetBucketLocation` page).
        let location = Some(bucket.region).filter(|region| region != DEFAULT_REGION);
        Ok(GetBucketLocationOutput { location_constraint: location.map(BucketLocationConstraint::from) })
    }

    pub(super) async fn put_bucket_notification_configuration(
        &self,
        request: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> S3Result<PutBucketNotificationConfigurationOutput> {
        let caller = caller_of(&request.extensions);
        let input = request.input;
        self.index.transaction(|tx| index::bucket(tx, &input.bucket))?;
        let targets = notifications::targets_of(input.notification_configuration)?;
        for target in &targets {
            // S3's test message is its proof that it may write to the queue, so a missing queue refuses the whole configuration.
            if !self.queues.queue_exists(&target.queue_arn).map_err(S3Error::internal_error)? {
                return Err(s3_error!(
                    InvalidArgument,
                    "Unable to validate the following destination configurations: {} does not exist",
                    target.queue_arn
                ));
            }
        }
        self.index.transaction(|tx| {
            tx.prepare_cached("UPDATE buckets SET notifications = ?2 WHERE name = ?1")
                .and_then(|mut update| update.execute(params![input.bucket, index::to_json(&targets)]))
                .map_err(db)
        })?;
        for target in &targets {
            self.queues
                .deliver(&target.queue_arn, notifications::test_event(&input.bucket, &caller))
                .map_err(S3Error::internal_error)?;
        }
        Ok(PutBucketNotificationConfigurationOutput {})
    }

    pub(super) async fn get_bucket_notification_configuration(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<GetBucketNotificationConfigurationOutput> {
        let bucket = self.index.transaction(|tx| index::bucket(tx, &request.input.bucket))?;
        let targets = serde_json::from_str(&bucket.notifications).map_err(S3Error::internal_error)?;
        Ok(GetBucketNotificationConfigurationOutput {
            queue_configurations: notifications::to_dto(targets),
            ..Default::default()
        })
    }
}
