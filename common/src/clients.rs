//! The AWS clients, made once from the standard AWS environment.
//!
//! There is no second code path for the sandbox or for tests: they are an endpoint URL
//! (`AWS_ENDPOINT_URL`), and a test that needs faults passes its own HTTP client in the SDK config.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use std::time::Duration;

/// S3, SQS and the Redshift Data API.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Raw, routed and quarantine buckets.
    pub s3: aws_sdk_s3::Client,
    /// Both queues and their lanes.
    pub sqs: aws_sdk_sqs::Client,
    /// The warehouse.
    pub redshift: aws_sdk_redshiftdata::Client,
}

/// The AWS environment is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("no AWS region is set: export AWS_REGION, or name one in the AWS profile")]
pub struct NoRegion;

/// Services whose own endpoint variable also selects an emulator.
const ENDPOINT_ENV: [&str; 2] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];

impl Clients {
    /// Clients of the environment: credentials chain, region, endpoints.
    pub async fn from_env() -> Result<Self, NoRegion> {
        let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
        if config.region().is_none() {
            return Err(NoRegion);
        }
        let own_endpoint =
            config.endpoint_url().is_some() || ENDPOINT_ENV.iter().any(|name| std::env::var_os(name).is_some());
        Ok(Self::new(&config, own_endpoint))
    }

    /// Clients of one endpoint, with the sandbox's credentials: for the demo and for tests.
    pub async fn for_endpoint(endpoint: &str) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("sandbox", "sandbox", None, None, "sandbox"))
            .load()
            .await;
        Self::new(&config, true)
    }

    /// Clients of an SDK configuration. `path_style`: the S3 endpoint knows no bucket host names, and
    /// there is no environment variable that says so.
    pub fn new(config: &SdkConfig, path_style: bool) -> Self {
        use aws_config::retry::RetryConfig;
        use aws_config::timeout::TimeoutConfig;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            // Longer than SQS's and the Data API's long polls (20 s and 30 s).
            .read_timeout(Duration::from_secs(60))
            .build();
        let retries = RetryConfig::adaptive().with_max_attempts(5);
        let config = config.clone().into_builder().timeout_config(timeouts).retry_config(retries).build();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config),
            redshift: aws_sdk_redshiftdata::Client::new(&config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::retry::RetryMode;

    /// The Data API's quotas are the whole account's: whoever is throttled has to slow down by himself.
    #[tokio::test]
    async fn every_client_adapts_its_rate_when_it_is_throttled() {
        let clients = Clients::for_endpoint("http://127.0.0.1:1").await;
        let modes = [
            clients.redshift.config().retry_config().map(|retry| retry.mode()),
            clients.sqs.config().retry_config().map(|retry| retry.mode()),
            clients.s3.config().retry_config().map(|retry| retry.mode()),
        ];
        assert_eq!(modes, [Some(RetryMode::Adaptive); 3]);
    }
}
