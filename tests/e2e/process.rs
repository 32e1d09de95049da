//! The real binaries as processes.

use crate::stack::Stack;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// Builds the workspace's binaries once (a test run alone does not) and tells where they are.
pub(crate) fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--offline", "--workspace", "--bins"]);
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.expect("cargo runs").success(), "the binaries build");
        // This test is target/<profile>/deps/e2e-…; the binaries are two levels up.
        let test = std::env::current_exe().expect("this test has a path");
        test.parent().and_then(|deps| deps.parent()).expect("two folders").to_owned()
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A command of a binary with the environment of a person who follows the ready line.
pub(crate) fn command(stack: &Stack, name: &str) -> Command {
    let mut command = Command::new(binary(name));
    // Settings of whoever runs the tests are not the tests'.
    for (variable, _) in std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("LOG_ROUTER_")) {
        command.env_remove(variable);
    }
    command.env("LOG_ROUTER_CONFIG", stack.settings_file());
    environment(&mut command, &stack.endpoint());
    command
}

pub(crate) fn environment(command: &mut Command, endpoint: &str) {
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "sandbox")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE");
}

/// Runs a command to its end without blocking the sandbox, which lives in this process.
pub(crate) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the binary starts")).await.expect("it was run")
}

/// Runs the router until nothing is left to do, and gives what it said.
pub(crate) async fn router_log(stack: &Stack) -> String {
    let mut router = command(stack, "router");
    router.args(["run", "--until-idle", "2s"]).env("LOG_ROUTER_LOG", "info");
    let ended = output(router).await;
    assert!(ended.status.success());
    String::from_utf8([ended.stdout, ended.stderr].concat()).expect("UTF-8")
}

/// A process that is killed when the test ends.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts"))
    }

    /// The same, with its log in a file.
    pub(crate) fn start_with_log(mut command: Command, log: &Path) -> Self {
        let log = File::create(log).expect("a log file");
        Self(command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary starts"))
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it was running");
        self.0.wait().expect("it has ended");
    }

    /// SIGTERM, then its exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success());
        tokio::task::spawn_blocking(move || self.0.wait().expect("it has ended").code()).await.expect("waited")
    }

    /// The first line of its standard output.
    pub(crate) async fn first_line(&mut self) -> String {
        use std::io::{BufRead, BufReader};
        let out = self.0.stdout.take().expect("piped");
        let read = move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).expect("readable");
            line
        };
        tokio::task::spawn_blocking(read).await.expect("read")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is fine: this only makes sure.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
