use super::pages::{Ask, Page};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use time::OffsetDateTime;

/// A bucket in memory that answers as S3 documents it.
struct Keys {
    keys: BTreeSet<String>,
    page: usize,
    /// Whether a folder in which a page starts is shown again: S3's documentation leaves it open.
    shows_again: bool,
    asked: Arc<Mutex<Vec<Ask>>>,
    at_once: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Keys {
    fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>, page: usize) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self { keys, page, shows_again: false, asked: Arc::default(), at_once: Arc::default() }
    }

    fn answer(&self, ask: &Ask) -> Page {
        let mut page = Page::default();
        for key in self.keys.iter().filter(|key| key.starts_with(&ask.prefix) && **key > ask.after) {
            let rest = &key[ask.prefix.len()..];
            let folder = rest.find('/').filter(|_| ask.by_folder).map(|at| &key[..ask.prefix.len() + at + 1]);
            let shown = folder.unwrap_or(key).to_owned();
            if page.last.as_ref() == Some(&shown)
                || (folder.is_some_and(|f| ask.after.starts_with(f)) && !self.shows_again)
            {
                continue;
            }
            if page.objects.len() + page.folders.len() == self.page {
                page.is_truncated = true;
                break;
            }
            page.last = Some(shown.clone());
            match folder {
                Some(_) => page.folders.push(shown),
                None => page.objects.push(object(key)),
            }
        }
        page
    }
}

fn object(key: &str) -> RawObject {
    let modified = OffsetDateTime::UNIX_EPOCH;
    RawObject { key: key.to_owned(), etag: "e".to_owned(), bytes: 1, modified, is_archived: false }
}

impl Pages for Keys {
    async fn page(&self, ask: &Ask) -> Result<Page, AwsError> {
        let (now, most) = &*self.at_once;
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.asked.lock().unwrap().push(ask.clone());
        // As long as a request takes, so that others go on meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(10 + ask.after.len() as u64 % 7)).await;
        now.fetch_sub(1, Ordering::Relaxed);
        Ok(self.answer(ask))
    }
}

fn start<P: Pages>(
    pages: P,
    prefix: &str,
    order: Order,
    listers: usize,
    enough: usize,
) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    send_workers(pages, Frontier::new(prefix, order, enough), listers, Duration::ZERO)
}

/// Every key that is shown, in order, with its repetitions.
async fn shown(keys: Keys, prefix: &str, order: Order, listers: usize) -> Vec<String> {
    let mut receiver = start(keys, prefix, order, listers, listers * RANGES_EACH);
    let mut found = Vec::new();
    while let Some(objects) = receiver.recv().await {
        found.extend(objects.expect("no failure").into_iter().map(|object| object.key));
    }
    found
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    /// Against the keys themselves, which is what one listing page after page gives.
    #[test]
    fn every_key_is_shown_once_whatever_its_characters(
        keys in prop::collection::btree_set("[a-c0/.é\u{1}\u{10ffff}𝄞]{0,6}", 0..60),
        prefix in "[a-c]{0,1}/?",
        page in 1..6usize,
        listers in 1..9usize,
        again in any::<bool>(),
        order in prop::sample::select(vec![Order::OldestFirst, Order::NewestFirst, Order::Scattered]),
    ) {
        let keys: BTreeSet<String> = keys.into_iter().filter(|key| !key.is_empty()).collect();
        let expected: Vec<String> = keys.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let mut bucket = Keys::new(keys, page);
        bucket.shows_again = again;
        let mut found = paused().block_on(shown(bucket, &prefix, order, listers));
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #[test]
    fn only_what_lies_in_folders_of_earlier_days_is_left_out(
        keys in prop::collection::btree_set("(a/)?(2024|2025|b)/0[156]/(3[01]/|0[1-3]/|x)?[yz]{1,2}", 0..60),
        page in 1..4usize,
        listers in 1..5usize,
    ) {
        let from = time::macros::date!(2025-05-02);
        let expected: Vec<String> = keys.iter().filter(|key| !is_aside(key, from)).cloned().collect();
        let mut found = paused().block_on(async {
            let frontier = Frontier::new("", Order::OldestFirst, 4).without_folders_before(from);
            let mut receiver = send_workers(Keys::new(keys, page), frontier, listers, Duration::ZERO);
            let mut found = Vec::new();
            while let Some(objects) = receiver.recv().await {
                found.extend(objects.expect("no failure").into_iter().map(|object| object.key));
            }
            found
        });
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_flat_folder_is_listed_by_all_at_once() {
    for name in ["{:08x}", "part-{:07}", "app.log-{:05}.json.gz"] {
        let numbers = (0..20_000u32).map(|n| if name.contains('x') { n.wrapping_mul(0x9e37_79b1) } else { n });
        let keys = numbers.map(|n| match name {
            "{:08x}" => format!("{n:08x}"),
            "part-{:07}" => format!("part-{n:07}"),
            _ => format!("app.log-{n:05}.json.gz"),
        });
        let bucket = Keys::new(keys, 100);
        let (asked, at_once) = (bucket.asked.clone(), bucket.at_once.clone());
        let runtime = paused();
        let (found, took) = runtime.block_on(async {
            let since = tokio::time::Instant::now();
            (shown(bucket, "", Order::OldestFirst, 8).await.len(), since.elapsed())
        });
        let requests = asked.lock().unwrap().len();
        assert_eq!(found, 20_000, "{name}");
        assert_eq!(at_once.1.load(Ordering::Relaxed), 8, "{name}");
        assert!(requests < 200 + 100, "{name}: {requests} requests for 200 pages");
        // One after the other they take some 200 times 13 ms.
        assert!(took.as_millis() < 2_600 / 4, "{name}: {took:?} for {requests} requests");
    }
}

#[test]
fn folders_with_dates_come_in_the_order_of_their_dates() {
    let keys = || (1..=12).flat_map(|month| ["b", "a"].map(|app| format!("{app}/2025/{month:02}/01/x.gz")));
    let months = |order| {
        paused().block_on(async move {
            let mut receiver = start(Keys::new(keys(), 1_000), "", order, 1, 1_000);
            let mut months = Vec::new();
            while let Some(objects) = receiver.recv().await {
                months.extend(objects.expect("no failure").into_iter().map(|object| object.key[7..9].to_owned()));
            }
            months
        })
    };
    let mut expected: Vec<String> = (1..=12).flat_map(|month| [format!("{month:02}"), format!("{month:02}")]).collect();
    assert_eq!(months(Order::OldestFirst), expected);
    expected.reverse();
    assert_eq!(months(Order::NewestFirst), expected);
}

#[test]
fn folders_are_explored_until_there_is_enough_to_do_and_no_longer() {
    let keys = (0..500).flat_map(|user| (0..20).map(move |n| format!("u{user:03}/{n:02}/x")));
    let bucket = Keys::new(keys, 1_000);
    let asked = bucket.asked.clone();
    assert_eq!(paused().block_on(shown(bucket, "", Order::OldestFirst, 8)).len(), 10_000);
    let requests = asked.lock().unwrap().len();
    assert!(requests <= 501 + 10, "{requests} requests: one for each folder of the first level");
}

/// A folder of each of many people, and in it a day: looking into each would take a request for every one of them.
#[test]
fn names_without_end_are_not_looked_into_one_by_one() {
    let keys = (0..20_000).flat_map(|user| ["2024/01/01", "2025/06/01"].map(|day| format!("u{user:05}/{day}/x")));
    let bucket = Keys::new(keys, 1_000);
    let asked = bucket.asked.clone();
    let found = paused().block_on(async {
        let frontier =
            Frontier::new("", Order::OldestFirst, 16).without_folders_before(time::macros::date!(2025 - 05 - 02));
        let mut receiver = send_workers(bucket, frontier, 8, Duration::ZERO);
        let mut found = BTreeSet::new();
        while let Some(objects) = receiver.recv().await {
            found.extend(objects.expect("no failure").into_iter().map(|object| object.key));
        }
        found
    });
    assert_eq!(found.iter().filter(|key| key.contains("/2025/")).count(), 20_000);
    let requests = asked.lock().unwrap().len();
    assert!(requests < 4_000, "{requests} requests");
}

#[test]
fn a_listing_that_fails_or_that_nobody_reads_ends() {
    struct Failing;
    impl Pages for Failing {
        async fn page(&self, _: &Ask) -> Result<Page, AwsError> {
            Err(AwsError::refused("ListObjectsV2", "s3://raw/", "AccessDenied", "no", true))
        }
    }
    paused().block_on(async {
        let mut receiver = start(Failing, "", Order::OldestFirst, 4, 16);
        assert!(receiver.recv().await.is_some_and(|shown| shown.is_err()));
        let bucket = Keys::new((0..5_000).map(|n| n.to_string()), 10);
        let asked = bucket.asked.clone();
        drop(start(bucket, "", Order::OldestFirst, 4, 16));
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert!(asked.lock().unwrap().len() < 20);
    });
}
