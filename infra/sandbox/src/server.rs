//! The endpoint: one loopback listener, its connections, and an orderly end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dispatch::Dispatch;
use crate::faults::Faults;
use crate::request_counts::RequestCounts;
use crate::{redshift, s3, sqs};

/// What a stop waits for: a request longer than this is cut off.
const DRAIN: Duration = Duration::from_secs(5);

pub struct SandboxOptions {
    /// 0 takes a free one.
    pub port: u16,
    /// Everything is kept below it; a second start on the same directory continues.
    pub dir: PathBuf,
}

/// A running sandbox. Dropping it stops accepting; [`Sandbox::stop`] also waits for requests in progress.
pub struct Sandbox {
    address: SocketAddr,
    stopping: CancellationToken,
    tasks: TaskTracker,
    /// Released with the value, or with the process.
    _directory: File,
}

impl Sandbox {
    pub async fn start(options: SandboxOptions) -> anyhow::Result<Self> {
        // Bound first: a sandbox already running on the port is the commonest mistake, and must not touch the directory.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("could not listen on {address}; is it in use? choose another --port"))?;
        let address = listener.local_addr()?;
        let directory = claim(&options.dir)?;
        let stopping = CancellationToken::new();
        let faults = Arc::new(Faults::default());
        let queues = sqs::Service::open(&options.dir, stopping.clone(), Arc::clone(&faults))?;
        let objects = s3::Store::open(&options.dir, Arc::clone(&queues), Arc::clone(&faults))?;
        let files = Arc::clone(&objects) as Arc<dyn redshift::ObjectSource>;
        let warehouse = redshift::Service::open(&options.dir, files, Arc::clone(&faults))?;
        let requests = Arc::new(RequestCounts::default());
        let s3 = s3::Service::new(objects, Arc::clone(&requests));
        let dispatch = Arc::new(Dispatch { s3, sqs: queues, redshift: warehouse, requests, faults });
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, dispatch, stopping.clone(), tasks.clone()));
        Ok(Self { address, stopping, tasks, _directory: directory })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends long polls at once, lets other requests finish, and gives up on those that take too long.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were still running when the sandbox stopped");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Two processes on one directory would sweep each other's files away.
fn claim(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    std::fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))?;
    let file = File::create(&path).with_context(|| format!("could not create {}", path.display()))?;
    file.try_lock()
        .map_err(|_| anyhow::anyhow!("another sandbox uses {}; stop it, or choose another --dir", dir.display()))?;
    Ok(file)
}

async fn accept(listener: TcpListener, dispatch: Arc<Dispatch>, stopping: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(serve(stream, Arc::clone(&dispatch), stopping.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only spin.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, dispatch: Arc<Dispatch>, stopping: CancellationToken) {
    // Answers are small and waited for; without this each costs a delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let dispatch = Arc::clone(&dispatch);
        async move { dispatch.handle(request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::test_stack::TestStack;

    async fn get(address: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn health_is_ok_and_other_own_pages_are_not_found() {
        let stack = TestStack::start().await;
        let address = stack.endpoint().replace("http://", "");
        let health = get(&address, "/_sandbox/health").await;
        assert!(health.starts_with("HTTP/1.1 200") && health.ends_with(r#"{"status":"ok"}"#), "{health}");
        assert!(get(&address, "/_sandbox/other").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn requests_are_counted_by_service_and_operation() {
        let stack = TestStack::start().await;
        for bucket in ["one", "two"] {
            stack.clients.s3.create_bucket().bucket(bucket).send().await.unwrap();
        }
        stack.clients.sqs.list_queues().send().await.unwrap();
        let counts = get(&stack.endpoint().replace("http://", ""), "/_sandbox/requests").await;
        assert!(counts.ends_with(r#"{"s3":{"CreateBucket":2},"sqs":{"ListQueues":1}}"#), "{counts}");
    }

    #[tokio::test]
    async fn a_second_sandbox_on_the_same_port_or_directory_is_refused() {
        let stack = TestStack::start().await;
        let port = stack.endpoint().rsplit(':').next().unwrap().parse().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let on = |port, dir: &Path| Sandbox::start(SandboxOptions { port, dir: dir.to_owned() });
        let error = on(port, elsewhere.path()).await.err().unwrap();
        assert!(error.to_string().contains("--port"), "{error:#}");
        let error = on(0, stack.dir()).await.err().unwrap();
        assert!(error.to_string().contains("--dir"), "{error:#}");
    }

    #[tokio::test]
    async fn a_stopped_sandbox_answers_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(SandboxOptions { port: 0, dir: dir.path().to_owned() }).await.unwrap();
        let address = sandbox.endpoint().replace("http://", "");
        assert!(get(&address, "/_sandbox/health").await.starts_with("HTTP/1.1 200"));
        sandbox.stop().await;
        assert!(TcpStream::connect(&address).await.is_err());
    }
}
