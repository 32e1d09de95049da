//! Makes what the settings name: buckets, queues with their dead-letter queues, and the notification from the raw bucket.
//!
//! Goes through the endpoint like any client, so the sandbox is provisioned by the calls people make themselves. May be repeated: what
//! exists with the same attributes is left alone. A deployment to AWS is made by the `CloudFormation` template, never by this.

use std::collections::BTreeSet;

use anyhow::Context;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use aws_sdk_sqs::types::QueueAttributeName;
use common::clients::Clients;
use common::settings::Settings;

/// Heartbeats renew it, so it bounds only how soon the work of a killed process starts again.
const VISIBILITY_SECS: u32 = 30;
/// A far backstop: what fails alone is told apart by the consumers, long before (design, "Errors have classes").
const MAX_RECEIVE_COUNT: u32 = 100;
/// The longest SQS has: a dead letter's age counts from when it was first sent.
const DEAD_LETTER_RETENTION_SECS: u32 = 1_209_600;
const LONG_POLL_SECS: u32 = 20;

pub async fn provision(settings: &Settings, clients: &Clients) -> anyhow::Result<()> {
    let buckets: BTreeSet<&str> =
        [&settings.raw.bucket, &settings.routed.bucket, &settings.quarantine_bucket].map(String::as_str).into();
    for bucket in buckets {
        create_bucket(&clients.s3, bucket).await?;
    }
    let raw = &settings.raw.queues;
    let routed = &settings.routed.queues;
    for queue in [&raw.live, &raw.backfill, &routed.live, &routed.backfill] {
        create_queue(&clients.sqs, name_of(queue)).await?;
    }
    notify(&clients.s3, &clients.sqs, &settings.raw.bucket, &settings.raw.prefix, name_of(&raw.live)).await
}

/// A queue setting is a name or a URL.
fn name_of(queue: &str) -> &str {
    queue.rsplit('/').next().unwrap_or(queue)
}

async fn create_bucket(s3: &aws_sdk_s3::Client, bucket: &str) -> anyhow::Result<()> {
    match s3.create_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_bucket_already_owned_by_you()) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not create bucket {bucket}")),
    }
}

async fn create_queue(sqs: &aws_sdk_sqs::Client, name: &str) -> anyhow::Result<()> {
    let dead_letters = format!("{name}-dlq");
    let dead_letter_url = sqs
        .create_queue()
        .queue_name(&dead_letters)
        .attributes(QueueAttributeName::MessageRetentionPeriod, DEAD_LETTER_RETENTION_SECS.to_string())
        .send()
        .await
        .with_context(|| format!("could not create queue {dead_letters}"))?
        .queue_url
        .unwrap_or_default();
    let redrive = serde_json::json!({
        "deadLetterTargetArn": queue_arn(sqs, &dead_letter_url).await?,
        "maxReceiveCount": MAX_RECEIVE_COUNT,
    });
    sqs.create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECS.to_string())
        .attributes(QueueAttributeName::ReceiveMessageWaitTimeSeconds, LONG_POLL_SECS.to_string())
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .send()
        .await
        .with_context(|| format!("could not create queue {name}"))?;
    Ok(())
}

async fn queue_arn(sqs: &aws_sdk_sqs::Client, url: &str) -> anyhow::Result<String> {
    let answer = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .with_context(|| format!("could not read the ARN of queue {url}"))?;
    let arn = answer.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn));
    arn.cloned().with_context(|| format!("queue {url} has no ARN"))
}

/// Leaves an equal configuration alone: putting it again would send another test message.
async fn notify(
    s3: &aws_sdk_s3::Client,
    sqs: &aws_sdk_sqs::Client,
    bucket: &str,
    prefix: &str,
    queue: &str,
) -> anyhow::Result<()> {
    let url =
        sqs.get_queue_url().queue_name(queue).send().await.with_context(|| format!("could not find queue {queue}"))?;
    let arn = queue_arn(sqs, url.queue_url().unwrap_or_default()).await?;
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
    let filter = (!prefix.is_empty()).then(|| {
        NotificationConfigurationFilter::builder().key(S3KeyFilter::builder().filter_rules(rule).build()).build()
    });
    let current = s3
        .get_bucket_notification_configuration()
        .bucket(bucket)
        .send()
        .await
        .with_context(|| format!("could not read the notifications of bucket {bucket}"))?;
    let is_same = |configuration: &QueueConfiguration| {
        let current_prefix = configuration
            .filter()
            .and_then(|filter| filter.key())
            .and_then(|key| key.filter_rules().first())
            .and_then(|rule| rule.value());
        configuration.queue_arn() == arn && current_prefix.unwrap_or_default() == prefix
    };
    if let [only] = current.queue_configurations()
        && is_same(only)
    {
        return Ok(());
    }
    let target = QueueConfiguration::builder()
        .id("raw-objects")
        .queue_arn(arn)
        .events(Event::from("s3:ObjectCreated:*"))
        .set_filter(filter)
        .build()
        .context("the notification is incomplete")?;
    s3.put_bucket_notification_configuration()
        .bucket(bucket)
        .notification_configuration(NotificationConfiguration::builder().queue_configurations(target).build())
        .send()
        .await
        .with_context(|| format!("could not set the notifications of bucket {bucket}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::test_stack::TestStack;

    const SETTINGS: &str = r#"
        [raw]
        bucket = "raw-logs"
        prefix = "in/"
        queue = "raw-objects"
        [routed]
        bucket = "routed-logs"
        queue = "routed-parts"
        [router]
        event_type = ["/event"]
        [loader]
        database = "dev"
        workgroup = "sandbox"
    "#;

    #[tokio::test]
    async fn provisioning_makes_everything_once_and_may_be_repeated() {
        let stack = TestStack::start().await;
        let settings = Settings::parse(Path::new("log-router.toml"), SETTINGS, BTreeMap::new()).unwrap();
        for _ in 0..2 {
            provision(&settings, &stack.clients).await.unwrap();
        }
        let buckets = stack.clients.s3.list_buckets().send().await.unwrap();
        let buckets: Vec<_> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
        assert_eq!(buckets, ["raw-logs", "routed-logs"]);
        let queues = stack.clients.sqs.list_queues().send().await.unwrap();
        let queues: Vec<_> = queues.queue_urls().iter().map(|url| name_of(url)).collect();
        let mut expected = Vec::new();
        for queue in ["raw-objects", "raw-objects-backfill", "routed-parts", "routed-parts-backfill"] {
            expected.extend([queue.to_owned(), format!("{queue}-dlq")]);
        }
        expected.sort();
        assert_eq!(queues, expected);

        let url = stack.queue("raw-objects").await;
        stack.put("raw-logs", "in/a.json", b"{}").await;
        stack.put("raw-logs", "elsewhere/a.json", b"{}").await;
        let bodies: Vec<_> = stack.receive(&url, 0).await.into_iter().filter_map(|message| message.body).collect();
        // One test event although provisioned twice, and one object.
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert!(bodies[0].contains("s3:TestEvent") && bodies[1].contains("in/a.json"));
    }
}
