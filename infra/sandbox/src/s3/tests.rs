//! S3 as the Rust SDK sees it.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};

use crate::test_stack::TestStack;

async fn text_of(s3: &Client, key: &str) -> String {
    let object = s3.get_object().bucket("bkt").key(key).send().await.unwrap();
    String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap()
}

async fn stack() -> TestStack {
    let stack = TestStack::start().await;
    stack.bucket("bkt").await;
    stack
}

#[tokio::test]
async fn an_object_comes_back_with_its_headers_metadata_and_etag() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let put = s3.put_object().bucket("bkt").key("a b/ü+%.txt").body(ByteStream::from_static(b"hello"));
    let put =
        put.content_type("text/plain").content_encoding("identity").metadata("lane", "live").send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert!(put.checksum_crc32().is_some());
    let got = s3.get_object().bucket("bkt").key("a b/ü+%.txt").send().await.unwrap();
    assert_eq!((got.content_type(), got.content_encoding()), (Some("text/plain"), Some("identity")));
    assert_eq!(got.metadata().unwrap()["lane"], "live");
    assert_eq!(got.content_length(), Some(5));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = s3.head_object().bucket("bkt").key("a b/ü+%.txt").send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(5), put.e_tag()));
}

#[tokio::test]
async fn a_streamed_body_of_many_chunks_arrives_whole() {
    let stack = stack().await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let path = stack.dir().join("upload");
    std::fs::write(&path, &body).unwrap();
    // A body from a file has no checksum in advance: the SDK sends aws-chunked with a CRC32 trailer.
    let stream = ByteStream::from_path(&path).await.unwrap();
    stack.clients.s3.put_object().bucket("bkt").key("big").body(stream).send().await.unwrap();
    let got = stack.clients.s3.get_object().bucket("bkt").key("big").send().await.unwrap();
    assert_eq!(got.content_encoding(), None);
    assert!(got.body.collect().await.unwrap().to_vec() == body);
}

#[tokio::test]
async fn every_algorithm_of_the_sdk_is_checked_on_the_way_in_and_out() {
    use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let path = stack.dir().join("upload");
    std::fs::write(&path, "hello").unwrap();
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let put = s3.put_object().bucket("bkt").key(algorithm).checksum_algorithm(ChecksumAlgorithm::from(algorithm));
        put.body(ByteStream::from_path(&path).await.unwrap()).send().await.unwrap();
        let got =
            s3.get_object().bucket("bkt").key(algorithm).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let sums = [
            got.checksum_crc32(),
            got.checksum_crc32_c(),
            got.checksum_crc64_nvme(),
            got.checksum_sha1(),
            got.checksum_sha256(),
        ];
        assert_eq!(sums.iter().flatten().count(), 1, "{algorithm}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_stores_nothing() {
    let stack = stack().await;
    let put = stack.clients.s3.put_object().bucket("bkt").key("k").checksum_crc32("AAAAAA==");
    let error = put.body(ByteStream::from_static(b"hello")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("BadDigest"));
    let error = stack.clients.s3.head_object().bucket("bkt").key("k").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_not_found());
}

#[tokio::test]
async fn only_the_first_of_two_conditional_puts_is_stored() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let put = |body: &'static [u8]| {
        s3.put_object().bucket("bkt").key("k").if_none_match("*").body(ByteStream::from_static(body)).send()
    };
    put(b"first").await.unwrap();
    let error = put(b"second").await.unwrap_err();
    assert_eq!(error.code(), Some("PreconditionFailed"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(text_of(s3, "k").await, "first");
    let put = s3.put_object().bucket("bkt").key("k").if_match("\"nope\"").body(ByteStream::from_static(b"third"));
    assert_eq!(put.send().await.unwrap_err().code(), Some("PreconditionFailed"));
}

#[tokio::test]
async fn of_many_conditional_puts_at_once_exactly_one_wins() {
    let stack = stack().await;
    let puts = (0..20).map(|n| {
        let put = stack.clients.s3.put_object().bucket("bkt").key("k").if_none_match("*");
        put.body(format!("writer {n}").into_bytes().into()).send()
    });
    let won = futures::future::join_all(puts).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn reads_take_ranges_and_conditions() {
    let stack = stack().await;
    stack.put("bkt", "k", b"0123456789").await;
    let s3 = &stack.clients.s3;
    let get = |range: &str| s3.get_object().bucket("bkt").key("k").range(range).send();
    let part = get("bytes=2-4").await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"234");
    assert_eq!(get("bytes=-3").await.unwrap().body.collect().await.unwrap().to_vec(), b"789");
    assert_eq!(get("bytes=8-99").await.unwrap().body.collect().await.unwrap().to_vec(), b"89");
    assert_eq!(get("bytes=10-").await.unwrap_err().code(), Some("InvalidRange"));

    let etag = s3.head_object().bucket("bkt").key("k").send().await.unwrap().e_tag.unwrap();
    assert!(s3.get_object().bucket("bkt").key("k").if_match(&etag).send().await.is_ok());
    let stale = s3.get_object().bucket("bkt").key("k").if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(stale.code(), Some("PreconditionFailed"));
    let unchanged = s3.get_object().bucket("bkt").key("k").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
}

#[tokio::test]
async fn missing_buckets_and_keys_have_their_own_errors() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    assert!(
        s3.get_object().bucket("bkt").key("k").send().await.unwrap_err().as_service_error().unwrap().is_no_such_key()
    );
    let error = s3.get_object().bucket("nowhere").key("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    assert!(s3.head_bucket().bucket("nowhere").send().await.is_err());
    let error = s3.get_object_tagging().bucket("bkt").key("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotImplemented"));
}

#[tokio::test]
async fn a_key_may_be_the_prefix_of_another() {
    let stack = stack().await;
    stack.put("bkt", "n", b"short").await;
    stack.put("bkt", "n/m", b"long").await;
    stack.put("bkt", "n/", b"folder").await;
    let s3 = &stack.clients.s3;
    assert_eq!(text_of(s3, "n").await, "short");
    assert_eq!(text_of(s3, "n/m").await, "long");
    assert_eq!(text_of(s3, "n/").await, "folder");
}

#[tokio::test]
async fn listing_pages_with_delimiter_start_after_and_encoded_keys() {
    let stack = stack().await;
    for key in ["a", "d/1", "d/2", "e f", "g/1"] {
        stack.put("bkt", key, b"x").await;
    }
    let s3 = &stack.clients.s3;
    let mut shown = Vec::new();
    let mut pages = s3.list_objects_v2().bucket("bkt").delimiter("/").max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        shown.push(page.contents().iter().map(|o| o.key().unwrap().to_owned()).collect::<Vec<_>>());
        shown.push(page.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned()).collect());
    }
    assert_eq!(shown, [vec!["a"], vec!["d/"], vec!["e f"], vec!["g/"]]);
    let after = s3.list_objects_v2().bucket("bkt").start_after("d/1").encoding_type("url".into()).send().await.unwrap();
    let keys: Vec<_> = after.contents().iter().map(|o| o.key().unwrap()).collect();
    assert_eq!(keys, ["d/2", "e+f", "g/1"]);
    let old = s3.list_objects().bucket("bkt").delimiter("/").max_keys(2).send().await.unwrap();
    assert_eq!((old.is_truncated(), old.next_marker()), (Some(true), Some("d/")));
    let rest = s3.list_objects().bucket("bkt").delimiter("/").marker("d/").send().await.unwrap();
    assert_eq!((rest.contents().len(), rest.common_prefixes().len()), (1, 1));
}

#[tokio::test]
async fn a_bucket_is_deleted_only_when_empty_and_deleting_a_missing_key_is_no_error() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    stack.put("bkt", "x", b"1").await;
    stack.put("bkt", "y", b"1").await;
    assert_eq!(s3.delete_bucket().bucket("bkt").send().await.unwrap_err().code(), Some("BucketNotEmpty"));
    s3.delete_object().bucket("bkt").key("never there").send().await.unwrap();
    let ids = ["x", "y", "z"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.into())).build().unwrap();
    let deleted = s3.delete_objects().bucket("bkt").delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    s3.delete_bucket().bucket("bkt").send().await.unwrap();
    assert!(s3.list_buckets().send().await.unwrap().buckets().is_empty());
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_headers_and_outlives_its_source() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let put = s3.put_object().bucket("bkt").key("from").body(ByteStream::from_static(b"data"));
    put.content_type("text/plain").send().await.unwrap();
    s3.copy_object().bucket("bkt").key("to").copy_source("bkt/from").send().await.unwrap();
    s3.delete_object().bucket("bkt").key("from").send().await.unwrap();
    assert_eq!(text_of(s3, "to").await, "data");
    let head = s3.head_object().bucket("bkt").key("to").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    let again = s3.copy_object().bucket("bkt").key("to").copy_source("bkt/to").send().await.unwrap_err();
    assert_eq!(again.code(), Some("InvalidRequest"));
    let guarded = s3.copy_object().bucket("bkt").key("to").copy_source("bkt/to").if_none_match("*");
    let guarded = guarded.metadata_directive("REPLACE".into()).send().await.unwrap_err();
    assert_eq!(guarded.code(), Some("PreconditionFailed"));
}

const PART: usize = 5 * 1024 * 1024;

async fn upload_parts(s3: &Client, key: &str, sizes: &[usize]) -> (String, Vec<CompletedPart>) {
    let id = s3.create_multipart_upload().bucket("bkt").key(key).send().await.unwrap().upload_id.unwrap();
    let mut parts = Vec::new();
    for (n, size) in (1..).zip(sizes) {
        let body = vec![b'0' + u8::try_from(n).unwrap(); *size];
        let part = s3.upload_part().bucket("bkt").key(key).upload_id(&id).part_number(n).body(body.into()).send();
        let etag = part.await.unwrap().e_tag.unwrap();
        parts.push(CompletedPart::builder().part_number(n).e_tag(etag).build());
    }
    (id, parts)
}

fn completed(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn a_multipart_upload_is_its_parts_in_order() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let (id, parts) = upload_parts(s3, "k", &[PART, 3]).await;
    let listed = s3.list_parts().bucket("bkt").key("k").upload_id(&id).send().await.unwrap();
    assert_eq!(listed.parts().iter().map(|p| p.size().unwrap()).collect::<Vec<_>>(), [PART as i64, 3]);
    let complete = s3.complete_multipart_upload().bucket("bkt").key("k").upload_id(&id).if_none_match("*");
    let done = complete.multipart_upload(completed(parts)).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let tail = s3.get_object().bucket("bkt").key("k").range(format!("bytes={}-", PART - 1)).send().await.unwrap();
    assert_eq!(tail.body.collect().await.unwrap().to_vec(), b"1222");
    assert!(s3.list_parts().bucket("bkt").key("k").upload_id(&id).send().await.is_err());
}

#[tokio::test]
async fn a_completion_that_comes_second_or_names_wrong_parts_is_refused() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    let complete = |id: &str, parts: Vec<CompletedPart>| {
        let call = s3.complete_multipart_upload().bucket("bkt").key("k").upload_id(id).if_none_match("*");
        call.multipart_upload(completed(parts)).send()
    };
    let (small, parts) = upload_parts(s3, "k", &[3, 3]).await;
    assert_eq!(complete(&small, parts.clone()).await.unwrap_err().code(), Some("EntityTooSmall"));
    let reversed = parts.iter().rev().cloned().collect();
    assert_eq!(complete(&small, reversed).await.unwrap_err().code(), Some("InvalidPartOrder"));
    let unknown = CompletedPart::builder().part_number(7).e_tag("\"x\"").build();
    assert_eq!(complete(&small, vec![unknown]).await.unwrap_err().code(), Some("InvalidPart"));
    complete(&small, parts[..1].to_vec()).await.unwrap();
    let (late, parts) = upload_parts(s3, "k", &[3]).await;
    assert_eq!(complete(&late, parts).await.unwrap_err().code(), Some("PreconditionFailed"));
    s3.abort_multipart_upload().bucket("bkt").key("k").upload_id(&late).send().await.unwrap();
    assert!(s3.list_multipart_uploads().bucket("bkt").send().await.unwrap().uploads().is_empty());
}

#[tokio::test]
async fn a_part_may_be_a_range_of_another_object() {
    let stack = stack().await;
    let s3 = &stack.clients.s3;
    stack.put("bkt", "from", b"0123456789").await;
    let id = s3.create_multipart_upload().bucket("bkt").key("to").send().await.unwrap().upload_id.unwrap();
    let copy = s3.upload_part_copy().bucket("bkt").key("to").upload_id(&id).part_number(1).copy_source("bkt/from");
    let copied = copy.copy_source_range("bytes=2-5").send().await.unwrap();
    let etag = copied.copy_part_result().unwrap().e_tag().unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let complete = s3.complete_multipart_upload().bucket("bkt").key("to").upload_id(&id);
    complete.multipart_upload(completed(vec![part])).send().await.unwrap();
    assert_eq!(text_of(s3, "to").await, "2345");
}

#[tokio::test]
async fn a_restart_keeps_objects_and_sweeps_what_no_object_names() {
    let stack = stack().await;
    stack.put("bkt", "k", b"kept").await;
    let stray = stack.dir().join("s3/content/00/00stray");
    std::fs::write(&stray, "left by a killed process").unwrap();
    let stack = stack.restart().await;
    assert_eq!(text_of(&stack.clients.s3, "k").await, "kept");
    assert!(!stray.exists());
}

#[tokio::test]
async fn replaced_and_deleted_objects_leave_no_files() {
    let stack = stack().await;
    stack.put("bkt", "k", b"one").await;
    stack.put("bkt", "k", b"two").await;
    stack.put("bkt", "other", b"three").await;
    stack.clients.s3.delete_object().bucket("bkt").key("other").send().await.unwrap();
    let shards = std::fs::read_dir(stack.dir().join("s3/content")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap()).count();
    assert_eq!(files, 1);
}
