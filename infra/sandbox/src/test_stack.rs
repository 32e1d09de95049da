//! A sandbox for one test: own directory, free port, SDK clients.

use common::clients::Clients;
use tempfile::TempDir;

use crate::{Sandbox, SandboxOptions};

pub(crate) struct TestStack {
    pub(crate) clients: Clients,
    sandbox: Sandbox,
    dir: TempDir,
}

impl TestStack {
    pub(crate) async fn start() -> Self {
        Self::on(TempDir::new().unwrap()).await
    }

    async fn on(dir: TempDir) -> Self {
        let sandbox = Sandbox::start(SandboxOptions { port: 0, dir: dir.path().to_owned() }).await.unwrap();
        let clients = Clients::for_endpoint(&sandbox.endpoint()).await;
        Self { clients, sandbox, dir }
    }

    /// The same directory, another process as far as the services can tell.
    pub(crate) async fn restart(self) -> Self {
        self.sandbox.stop().await;
        Self::on(self.dir).await
    }

    pub(crate) fn endpoint(&self) -> String {
        self.sandbox.endpoint()
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) async fn bucket(&self, name: &str) {
        self.clients.s3.create_bucket().bucket(name).send().await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, body: &[u8]) {
        self.clients.s3.put_object().bucket(bucket).key(key).body(body.to_vec().into()).send().await.unwrap();
    }

    /// The queue's URL.
    pub(crate) async fn queue(&self, name: &str) -> String {
        self.clients.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
    }

    /// Sends a message whose body is the text.
    pub(crate) async fn send(&self, queue_url: &str, body: &str) {
        self.clients.sqs.send_message().queue_url(queue_url).message_body(body).send().await.unwrap();
    }

    /// One receive; `wait_secs` long at most.
    pub(crate) async fn receive(&self, queue_url: &str, wait_secs: i32) -> Vec<aws_sdk_sqs::types::Message> {
        let receive = self.clients.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
        receive.wait_time_seconds(wait_secs).send().await.unwrap().messages.unwrap_or_default()
    }
}
