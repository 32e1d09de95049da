//! The operations of S3 that exist here: each unpacks its request and hands over; `s3s` refuses the rest by default.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Store, caller_of};
use crate::faults::{Kind, Place, Refused, Turn};
use crate::request_counts::RequestCounts;

pub(super) struct Operations {
    pub(super) store: Arc<Store>,
    pub(super) requests: Arc<RequestCounts>,
}

impl Operations {
    async fn turn(&self, operation: &str, uri: &http::Uri) -> S3Result<Turn> {
        let faults = &self.store.faults;
        if faults.is_empty() {
            return Ok(Turn::Answer);
        }
        let encoded = uri.path_and_query().map_or("", |text| text.as_str());
        let text = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
        faults.at_request(&Place { service: "s3", operation, text: &text }).await.map_err(refusal)
    }
}

fn refusal(refused: Refused) -> S3Error {
    let code = match refused.kind {
        Kind::Throttle => S3ErrorCode::SlowDown,
        Kind::AccessDenied => S3ErrorCode::AccessDenied,
        _ => S3ErrorCode::InternalError,
    };
    S3Error::with_message(code, refused.message)
}

/// One line per operation: the trait's signature, and the method of [`Store`] of the same name.
macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident,)*) => {
        #[async_trait::async_trait]
        impl S3 for Operations {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let operation = stringify!($input).trim_end_matches("Input");
                self.requests.add("s3", operation);
                let turn = self.turn(operation, &request.uri).await?;
                let caller = (turn == Turn::AnswerNobody).then(|| caller_of(&request.extensions));
                let answer = self.store.$name(request).await.map(S3Response::new);
                if let Some(caller) = caller {
                    caller.lost_reply.set();
                }
                answer
            })*
        }
    };
}

operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput,
    delete_bucket: DeleteBucketInput => DeleteBucketOutput,
    head_bucket: HeadBucketInput => HeadBucketOutput,
    list_buckets: ListBucketsInput => ListBucketsOutput,
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput,
    put_bucket_notification_configuration: PutBucketNotificationConfigurationInput => PutBucketNotificationConfigurationOutput,
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput,
    list_objects: ListObjectsInput => ListObjectsOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
    put_object: PutObjectInput => PutObjectOutput,
    get_object: GetObjectInput => GetObjectOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput,
    restore_object: RestoreObjectInput => RestoreObjectOutput,
    copy_object: CopyObjectInput => CopyObjectOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    upload_part: UploadPartInput => UploadPartOutput,
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput,
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
    list_parts: ListPartsInput => ListPartsOutput,
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput,
}
