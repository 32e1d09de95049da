//! Objects that are months old, and objects that are archived, as the Rust SDK sees them.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{OptionalObjectAttributes, RestoreRequest, StorageClass};

use crate::test_stack::TestStack;

const NEW_YEAR: i64 = 1_735_689_600;

async fn stack() -> TestStack {
    let stack = TestStack::start().await;
    stack.bucket("bkt").await;
    stack
}

async fn put_old(s3: &Client, key: &str) {
    let put = s3.put_object().bucket("bkt").key(key).metadata("sandbox-last-modified", "2025-01-01T00:00:00Z");
    put.body(b"old".to_vec().into()).send().await.unwrap();
}

async fn put_archived(s3: &Client, key: &str, class: StorageClass) {
    let put = s3.put_object().bucket("bkt").key(key).storage_class(class);
    put.body(b"cold".to_vec().into()).send().await.unwrap();
}

fn restore(days: i32) -> RestoreRequest {
    RestoreRequest::builder().days(days).build()
}

#[tokio::test]
async fn metadata_sets_the_last_modified_of_an_object_wherever_it_is_shown() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    put_old(s3, "k").await;
    let at = Some(DateTime::from_secs(NEW_YEAR));
    let head = s3.head_object().bucket("bkt").key("k").send().await.unwrap();
    assert_eq!(head.last_modified().copied(), at);
    assert_eq!(s3.get_object().bucket("bkt").key("k").send().await.unwrap().last_modified().copied(), at);
    let list = s3.list_objects_v2().bucket("bkt").send().await.unwrap();
    assert_eq!(list.contents()[0].last_modified().copied(), at);
    s3.copy_object().bucket("bkt").key("copy").copy_source("bkt/k").send().await.unwrap();
    let copy = s3.head_object().bucket("bkt").key("copy").send().await.unwrap();
    assert_eq!(copy.last_modified().copied(), at);
}

#[tokio::test]
async fn conditions_compare_with_the_time_that_metadata_set() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    put_old(s3, "k").await;
    let since = |secs| s3.get_object().bucket("bkt").key("k").if_modified_since(DateTime::from_secs(secs)).send();
    assert_eq!(since(NEW_YEAR).await.unwrap_err().raw_response().unwrap().status().as_u16(), 304);
    since(NEW_YEAR - 1).await.unwrap();
    let unmodified = s3.get_object().bucket("bkt").key("k").if_unmodified_since(DateTime::from_secs(NEW_YEAR - 1));
    assert_eq!(unmodified.send().await.unwrap_err().code(), Some("PreconditionFailed"));
}

#[tokio::test]
async fn a_time_that_cannot_be_read_is_refused_before_anything_is_stored() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let put = s3.put_object().bucket("bkt").key("k").metadata("sandbox-last-modified", "last year");
    assert_eq!(put.send().await.unwrap_err().code(), Some("InvalidArgument"));
    let upload = s3.create_multipart_upload().bucket("bkt").key("k").metadata("sandbox-last-modified", "last year");
    assert_eq!(upload.send().await.unwrap_err().code(), Some("InvalidArgument"));
    assert!(s3.list_objects_v2().bucket("bkt").send().await.unwrap().contents().is_empty());
}

#[tokio::test]
async fn an_archived_object_is_listed_and_described_but_not_read() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    put_archived(s3, "k", StorageClass::Glacier).await;
    let list = s3.list_objects_v2().bucket("bkt").send().await.unwrap();
    assert_eq!(list.contents()[0].storage_class().unwrap().as_str(), "GLACIER");
    let head = s3.head_object().bucket("bkt").key("k").send().await.unwrap();
    assert_eq!((head.storage_class(), head.restore()), (Some(&StorageClass::Glacier), None));
    let error = s3.get_object().bucket("bkt").key("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidObjectState"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
    let error = s3.copy_object().bucket("bkt").key("copy").copy_source("bkt/k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("ObjectNotInActiveTierError"));
}

#[tokio::test]
async fn a_restored_object_is_read_and_tells_until_when() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    put_archived(s3, "k", StorageClass::DeepArchive).await;
    s3.restore_object().bucket("bkt").key("k").restore_request(restore(2)).send().await.unwrap();
    let got = s3.get_object().bucket("bkt").key("k").send().await.unwrap();
    assert_eq!(got.storage_class(), Some(&StorageClass::DeepArchive));
    assert!(got.restore().unwrap().starts_with("ongoing-request=\"false\", expiry-date=\""));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"cold");
    let list = s3.list_objects_v2().bucket("bkt");
    let asked = list.clone().optional_object_attributes(OptionalObjectAttributes::RestoreStatus).send().await.unwrap();
    let status = asked.contents()[0].restore_status().unwrap();
    assert_eq!(status.is_restore_in_progress(), Some(false));
    assert_eq!(status.restore_expiry_date().unwrap().secs() % 86_400, 0);
    assert!(list.send().await.unwrap().contents()[0].restore_status().is_none());
}

#[tokio::test]
async fn only_what_is_archived_can_be_restored() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    put_archived(s3, "k", StorageClass::StandardIa).await;
    let restoring = s3.restore_object().bucket("bkt").key("k").restore_request(restore(1)).send().await;
    assert_eq!(restoring.unwrap_err().code(), Some("InvalidObjectState"));
    s3.get_object().bucket("bkt").key("k").send().await.unwrap();
    let put = s3.put_object().bucket("bkt").key("k").storage_class("COLD".into());
    assert_eq!(put.send().await.unwrap_err().code(), Some("InvalidStorageClass"));
}

#[tokio::test]
async fn a_class_given_at_the_start_of_an_upload_or_by_a_copy_is_kept() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let upload = s3.create_multipart_upload().bucket("bkt").key("k").storage_class(StorageClass::Glacier);
    let id = upload.metadata("sandbox-last-modified", "2025-01-01T00:00:00Z").send().await.unwrap().upload_id.unwrap();
    let part = s3.upload_part().bucket("bkt").key("k").upload_id(&id).part_number(1);
    let etag = part.body(b"cold".to_vec().into()).send().await.unwrap().e_tag.unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let complete = s3.complete_multipart_upload().bucket("bkt").key("k").upload_id(&id).multipart_upload(parts);
    complete.send().await.unwrap();
    let head = s3.head_object().bucket("bkt").key("k").send().await.unwrap();
    assert_eq!(head.storage_class(), Some(&StorageClass::Glacier));
    assert_eq!(head.last_modified().unwrap().secs(), NEW_YEAR);

    stack.put("bkt", "warm", b"warm").await;
    let archive = s3.copy_object().bucket("bkt").key("warm").copy_source("bkt/warm");
    archive.storage_class(StorageClass::Glacier).send().await.unwrap();
    let error = s3.get_object().bucket("bkt").key("warm").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidObjectState"));
}
