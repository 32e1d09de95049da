//! Work whose panic is an error like any other: for what must be tried again whatever became of it.

use tokio::task::{JoinError, JoinSet};

/// A panic as an error. The work ends when this future is dropped.
pub async fn guarded<T: Send + 'static>(
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let mut task = JoinSet::new();
    task.spawn(work);
    let ended: Option<Result<_, JoinError>> = task.join_next().await;
    ended.unwrap_or_else(|| Ok(Err("it never began".to_owned()))).unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert_eq!(guarded(async { Ok(7) }).await, Ok(7));
        let error = guarded::<()>(async { panic!("a surprise") }).await;
        assert!(error.is_err_and(|why| why.contains("a surprise")));
    }
}
