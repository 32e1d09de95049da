//! An S3 of two listings, answered in this process: what is measured is ours and the SDK's, nothing of the sandbox.

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use common::clients::Clients;
use common::keys::KeyLayout;
use common::settings::Settings;
use common::source::SourceId;
use router::backfill::{Backfill, Options};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use time::macros::datetime;

const OBJECTS: u32 = 20_000;
const HOURS: u32 = 12;

const SETTINGS: &str = r#"
raw = { bucket = "raw", queue = "raw" }
routed = { bucket = "routed", queue = "routed" }
router = { event_type = ["/event"] }
loader = { database = "dev", workgroup = "w" }
"#;

/// Keys with the ETag and time of each.
type Bucket = BTreeMap<String, (String, String)>;

#[derive(Clone, Debug)]
struct Listings {
    buckets: Arc<HashMap<&'static str, Bucket>>,
    requests: Arc<AtomicUsize>,
}

/// Objects of half a day in a flat folder, in an order of keys that has nothing to do with their times; all are sealed.
fn listings(keys: &KeyLayout) -> Listings {
    let (mut raw, mut routed) = (Bucket::new(), Bucket::new());
    for n in 0..OBJECTS {
        let at = datetime!(2025-01-01 00:00 UTC) + time::Duration::seconds(i64::from(n * (HOURS * 3600 / OBJECTS)));
        let (key, etag) = (format!("flat/{:08x}.json.gz", n.wrapping_mul(0x9e37_79b1)), format!("{n:032x}"));
        let entry = keys.hour_index(at, &SourceId::new("raw", &key, &etag), 0);
        let text = common::timestamp::format(at);
        routed.insert(entry, (String::new(), text.clone()));
        raw.insert(key, (etag, text));
    }
    Listings { buckets: Arc::new(HashMap::from([("raw", raw), ("routed", routed)])), requests: Arc::default() }
}

impl HttpConnector for Listings {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri();
        let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let bucket = path.split('/').nth(1).unwrap_or_default();
        let body = match query.contains("list-type=2") {
            true => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                page(&self.buckets[bucket], query)
            }
            // HEAD of a bucket.
            false => String::new(),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(body))))
    }
}

fn page(bucket: &Bucket, query: &str) -> String {
    let parameter = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
    let after = parameter("start-after").max(parameter("continuation-token"));
    let from = if after > prefix { Bound::Excluded(after.as_str()) } else { Bound::Included(prefix.as_str()) };
    let mut xml = String::from("<ListBucketResult>");
    let (mut shown, mut last, mut is_truncated) = (0, "", false);
    for (key, (etag, time)) in
        bucket.range::<str, _>((from, Bound::Unbounded)).take_while(|(k, _)| k.starts_with(&prefix))
    {
        if !delimiter.is_empty()
            && let Some(at) = key[prefix.len()..].find('/')
        {
            // All of these objects are in one folder.
            let folder = &key[..=prefix.len() + at];
            write!(xml, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>").expect("in memory");
            break;
        }
        if shown == 1_000 {
            is_truncated = true;
            break;
        }
        write!(xml, "<Contents><Key>{key}</Key><ETag>&quot;{etag}&quot;</ETag><Size>1000</Size><LastModified>{time}</LastModified><StorageClass>STANDARD</StorageClass></Contents>").expect("in memory");
        (shown, last) = (shown + 1, key);
    }
    write!(xml, "<IsTruncated>{is_truncated}</IsTruncated>").expect("in memory");
    if is_truncated {
        write!(xml, "<NextContinuationToken>{last}</NextContinuationToken>").expect("in memory");
    }
    xml + "</ListBucketResult>"
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_objects_are_passed_without_a_request_for_each() {
    let settings = Settings::parse(Path::new("test"), SETTINGS, BTreeMap::new()).expect("valid settings");
    let listings = listings(&settings.keys);
    let requests = listings.requests.clone();
    let connector = SharedHttpConnector::new(listings);
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url("http://127.0.0.1:1")
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let clients = Clients::new(&config.load().await, true);
    let options = Options {
        from: datetime!(2025-01-01 00:00 UTC),
        to: datetime!(2025-02-01 00:00 UTC),
        prefix: None,
        rate: None,
        direct: true,
        replace: false,
        over_others: false,
        events: None,
        patience: Duration::from_secs(1),
    };
    let plan = Backfill::open(&settings, &clients, options).await.expect("opened").plan().await.expect("planned");
    assert_eq!((plan.done.objects, plan.to_route().objects), (u64::from(OBJECTS), 0));
    let rate = f64::from(OBJECTS) / plan.listed_seconds;
    println!("{OBJECTS} sealed objects passed in {:.2} s: {rate:.0} a second", plan.listed_seconds);
    // A raw page for a thousand objects and, for each hour, the first page and one for each digit; and what dividing costs.
    let least = OBJECTS as usize / 1_000 + HOURS as usize * 17;
    let asked = requests.load(Ordering::Relaxed);
    assert!(asked < least + 150, "{asked} requests, and {least} are needed");
}
