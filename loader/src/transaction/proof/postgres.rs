//! A PostgreSQL of its own for one test: found, set up in a temporary folder, and stopped with it.

use std::fmt::Write;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Set where the proof must run: without a PostgreSQL it then fails instead of being skipped.
const REQUIRED_ENV: &str = "LOG_ROUTER_REQUIRE_POSTGRES";

/// Snapshots and locks behave alike in all later versions; the design was tried on this one.
const VERSION_MIN: u32 = 15;

/// Accounts that may run a server where the tests run as root, which it refuses to do.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

const START_MAX: Duration = Duration::from_secs(60);

/// A running server, reached through a socket in its folder: no port that anybody else could have.
pub(super) struct Postgres {
    server: Child,
    pub(super) binaries: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// None, with the reason printed, where there is no PostgreSQL to prove anything on.
    pub(super) fn start() -> Option<Self> {
        match Self::try_start() {
            Ok(postgres) => Some(postgres),
            Err(why) if std::env::var_os(REQUIRED_ENV).is_some() => panic!("{REQUIRED_ENV} is set, and {why}"),
            Err(why) => {
                // Straight to the terminal: the test harness hides what passing tests print.
                writeln!(std::io::stderr(), "skipped: the proof on PostgreSQL, because {why}").expect("stderr");
                None
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        let binaries = find()?;
        let folder = tempfile::tempdir().map_err(|error| format!("there is no temporary folder: {error}"))?;
        let account = account_for(folder.path())?;
        let data = folder.path().join("data");
        let mut init = as_account(account.as_deref(), &binaries.join("initdb"));
        init.args(["--auth=trust", "--username=loader", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        let made = init.arg(&data).output().map_err(|error| format!("initdb does not run: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb fails: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let mut server = as_account(account.as_deref(), &binaries.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        // Nobody but the test: no network, nothing in the background that takes locks, no waiting for disks.
        for setting in ["listen_addresses=", "autovacuum=off", "fsync=off", "deadlock_timeout=20ms"] {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(folder.path().join("log")).map_err(|error| error.to_string())?;
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let server = server.map_err(|error| format!("postgres does not run: {error}"))?;
        let mut postgres = Self { server, binaries, folder };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let ended = self.server.try_wait().map_err(|error| error.to_string())?;
            let asked = self.psql().args(["-c", "SELECT 1"]).output().map_err(|error| error.to_string())?;
            if asked.status.success() {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("postgres does not start: {log}"));
            }
        }
    }

    /// The client, without anybody's own settings.
    pub(super) fn psql(&self) -> Command {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.env_clear().args(["-X", "-q", "-A", "-t", "-U", "loader", "-d", "postgres", "-h"]).arg(self.folder.path());
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT ends it at once and in order; SIGKILL would leave its shared memory behind.
        let told = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        if told.is_ok_and(|status| status.success()) {
            drop(self.server.wait());
        }
    }
}

/// The folder of a complete installation: on the path, as `pg_config` says, or where Debian keeps them.
fn find() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(told) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let mut others = String::new();
    for folder in folders {
        // Debian's own `psql` on the path is a wrapper that looks for clusters: the one beside the server is meant.
        let Ok(server) = folder.join("postgres").canonicalize() else { continue };
        let folder = server.parent().unwrap_or(&folder).to_owned();
        if !["initdb", "psql"].iter().all(|binary| folder.join(binary).is_file()) {
            continue;
        }
        match version(&server) {
            Some(version) if version >= VERSION_MIN => return Ok(folder),
            version => write!(others, "; {} is version {version:?}", folder.display()).expect("a String"),
        }
    }
    Err(format!("no PostgreSQL {VERSION_MIN} or later is installed (Debian: apt-get install postgresql){others}"))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`
fn version(server: &Path) -> Option<u32> {
    let told = Command::new(server).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    text.split_whitespace().nth(2)?.split(['.', 'b', 'r']).next()?.parse().ok()
}

/// Root gives the folder to somebody else and names them.
fn account_for(folder: &Path) -> Result<Option<String>, String> {
    let owner = folder.metadata().map_err(|error| error.to_string())?.uid();
    if owner != 0 {
        return Ok(None);
    }
    for account in ACCOUNTS {
        let id = |which: &str| {
            let told = Command::new("id").args([which, account]).output().ok()?;
            String::from_utf8_lossy(&told.stdout).trim().parse::<u32>().ok()
        };
        if let (Some(user), Some(group)) = (id("-u"), id("-g")) {
            chown(folder, Some(user), Some(group)).map_err(|error| format!("cannot give a folder away: {error}"))?;
            return Ok(Some(account.to_owned()));
        }
    }
    Err(format!("PostgreSQL does not run as root, and there is no account {ACCOUNTS:?}"))
}

fn as_account(account: Option<&str>, binary: &Path) -> Command {
    let Some(account) = account else { return Command::new(binary) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", account, "--regid", account, "--clear-groups", "--"]).arg(binary).current_dir("/");
    command
}
