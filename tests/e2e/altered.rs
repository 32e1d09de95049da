//! S3's answers about one object's contents, altered on their way to the client.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use common::clients::Clients;

/// What the client gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Something else altogether.
    Instead { status: u16, body: &'static str },
    /// The object, with a checksum that is not its own.
    WrongChecksum,
}

/// Clients whose S3 answers like this where it would give the contents with this ETag.
pub(crate) fn answering(clients: &Clients, etag: &str, answer: Answer) -> Clients {
    let altered = Altered { etag: format!("\"{etag}\""), answer };
    let config = clients.s3.config().to_builder().interceptor(altered);
    Clients { s3: aws_sdk_s3::Client::from_conf(config.build()), ..clients.clone() }
}

#[derive(Debug)]
struct Altered {
    etag: String,
    answer: Answer,
}

impl Intercept for Altered {
    fn name(&self) -> &'static str {
        "Altered"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.headers().get("etag") != Some(&self.etag) {
            return Ok(());
        }
        // They are the object's own, and would not fit.
        let names: Vec<String> = response.headers().iter().map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().filter(|name| name.starts_with("x-amz-checksum")) {
            response.headers_mut().remove(name.as_str());
        }
        match self.answer {
            Answer::Instead { status, body } => {
                *response.status_mut() = status.try_into()?;
                *response.body_mut() = SdkBody::from(body);
            }
            Answer::WrongChecksum => {
                response.headers_mut().insert("x-amz-checksum-crc32", "AAAAAA==");
            }
        }
        Ok(())
    }
}
