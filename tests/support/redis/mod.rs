//! Real servers, which a test starts for itself and which end with it, also if it panics.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a server has a time of its own: what it does is waited for, with a deadline"
)]

pub mod cluster;
pub mod sentinel;
pub mod tls;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

/// Nothing that is waited for takes longer, on a slow machine either.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "it took too long: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// As [`until`], on a runtime.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < DEADLINE, "it took too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder of its own, which goes when the test does.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("axum-caching-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port where nobody listens now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a program, or says which package has it.
pub fn start(program: &str, package: &str, args: &[String]) -> Child {
    let mut command = Command::new(program);
    match command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => panic!("cannot start `{program}` ({error}): install the Debian package `{package}`"),
    }
}

/// A server of its own.
pub struct Server {
    child: Option<Child>,
    args: Vec<String>,
    folder: Folder,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        Self::with::<&str>(&[])
    }

    /// With settings, as on its command line.
    pub fn with<S: AsRef<str>>(settings: &[S]) -> Self {
        let settings: Vec<&str> = settings.iter().map(AsRef::as_ref).collect();
        for _ in 0..5 {
            let mut server = Self::prepared(free_port(), &settings);
            if server.try_launch() {
                return server;
            }
        }
        panic!("redis-server did not start: {settings:?}");
    }

    /// At a port, not started yet.
    pub fn prepared(port: u16, settings: &[&str]) -> Self {
        let folder = Folder::new();
        let mut args: Vec<String> = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        args.extend(["--port".into(), port.to_string(), "--dir".into(), folder.path().display().to_string()]);
        args.extend(["--unixsocket".into(), folder.file("socket"), "--logfile".into(), folder.file("log")]);
        args.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Self { child: None, args, folder, port }
    }

    /// Starts it, at the same port with the same settings.
    pub fn launch(&mut self) {
        until("redis-server starts", || self.try_launch());
    }

    fn try_launch(&mut self) -> bool {
        let mut child = start("redis-server", "redis-server", &self.args);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            // The socket is made after the port.
            if std::os::unix::net::UnixStream::connect(self.folder.path().join("socket")).is_ok() {
                self.child = Some(child);
                return true;
            }
            sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn socket_url(&self) -> String {
        format!("unix://{}", self.folder.file("socket"))
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.folder.path().join("socket"));
    }

    /// It does nothing any more, and its connections stay.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// A connection of the test's own, as the default user over the socket.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.socket_url()).unwrap();
        let connection = client.get_connection_with_timeout(Duration::from_secs(5)).unwrap();
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        connection
    }

    /// Runs a command, given as it is typed.
    pub fn run<T: redis::FromRedisValue>(&self, command: &str) -> T {
        self.try_run(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub fn try_run<T: redis::FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.connection())
    }

    /// How often a command was called, by others than the test.
    pub fn calls(&self, command: &str) -> u64 {
        self.all_calls().into_iter().find(|(name, _)| name == command).map_or(0, |(_, calls)| calls)
    }

    /// All commands that were called since [`forget_calls`](Self::forget_calls), but those of the test.
    pub fn all_calls(&self) -> Vec<(String, u64)> {
        let info: String = self.run("INFO commandstats");
        let calls = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        let own =
            |name: &str| ["info", "config|resetstat", "client|setinfo", "dbsize", "hello", "select"].contains(&name);
        calls.filter(|(name, _)| !own(name)).collect()
    }

    pub fn forget_calls(&self) {
        self.run::<()>("CONFIG RESETSTAT");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
