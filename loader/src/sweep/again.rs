//! Days that sweeps are done with, and that are to be looked at again: because what was loaded is not any more, or because
//! nobody knows.
//!
//! Whoever announces something of an old day says so here, by an object that is written anew each time: a message may be
//! deferred or lost, and a sweep passes by what it took for settled. Of such a day only what a sweep found that began after the
//! object was written counts. The sweep reads a listing, so it wakes no warehouse, and keeps to it however long it runs.

use super::days::{ALL_DAYS, Settled};
use super::reading::Store;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::objects;
use std::collections::BTreeSet;
use time::{Date, OffsetDateTime};

/// Which days of sealing (UTC).
#[derive(Clone, Debug)]
pub(crate) enum Days {
    All,
    These(BTreeSet<Date>),
}

/// Has the next sweeps look at these days as if none had.
pub(crate) async fn look_again(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    keys: &KeyLayout,
    days: &Days,
) -> Result<(), AwsError> {
    let wanted = match days {
        Days::All => vec![keys.sweep_again(None)],
        Days::These(days) => days.iter().map(|day| keys.sweep_again(Some(*day))).collect(),
    };
    for key in wanted {
        let put = s3.put_object().bucket(bucket).key(&key).body(Vec::new().into()).send().await;
        put.map_err(|error| AwsError::new("PutObject", format!("s3://{bucket}/{key}"), error))?;
    }
    Ok(())
}

/// Forgets how far sweeps came on days that are to be looked at again.
pub(super) async fn take_back(store: &Store, settled: &mut Settled) -> Result<(), AwsError> {
    let root = store.keys.sweep_again_root();
    let mut pages = objects::pages(&store.s3, &store.bucket, &root);
    while let Some(page) = pages.next().await? {
        for object in page {
            if let Some(day) = object.key.strip_prefix(&root) {
                forget(settled, day, object.modified);
            }
        }
    }
    Ok(())
}

/// `day`: `2025/06/01`, or `all`.
fn forget(settled: &mut Settled, day: &str, since: OffsetDateTime) {
    let of_day = format!("{ALL_DAYS}{day}/");
    let is_of = |prefix: &str| if day == "all" { prefix.starts_with(ALL_DAYS) } else { prefix == of_day };
    settled.retain(|prefix, before| !is_of(prefix) || *before > since);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::days::{self, prefix};
    use crate::sweep::hours;
    use time::macros::{date, datetime};

    #[test]
    fn a_day_counts_as_settled_again_only_by_a_sweep_that_began_later() {
        let at = datetime!(2025-06-20 12:00 UTC);
        let (old, other) = (prefix(date!(2025 - 06 - 01)), prefix(date!(2025 - 06 - 02)));
        let known = |of_old| {
            let known =
                [(old.clone(), of_old), (other.clone(), at), (ALL_DAYS.to_owned(), at), (hours::MARKS.to_owned(), at)];
            Settled::from(known)
        };
        let left = |mut settled: Settled, day: &str| {
            forget(&mut settled, day, at);
            settled.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(left(known(at), "2025/06/01"), [ALL_DAYS, &other, hours::MARKS]);
        let later = at + time::Duration::SECOND;
        assert_eq!(left(known(later), "2025/06/01").len(), 4);
        assert_eq!(left(known(later), "all"), [old.as_str(), hours::MARKS], "deep sweeps are due anew too");
        let mut settled = known(at);
        forget(&mut settled, "all", at);
        assert!(days::is_deep_due(&settled, at) && !days::Day::new(date!(2025 - 06 - 01), &settled).is_closed());
    }
}
