//! memcached servers that a test starts, and that end with it.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use axum_caching::{MemcachedBackend, MemcachedBackendBuilder};

/// A server, killed when it is dropped.
#[derive(Debug)]
pub struct Memcached {
    child: Child,
    folder: PathBuf,
    address: String,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Memcached {
    /// One on a free port of this machine.
    pub fn on_tcp(options: &[&str]) -> Self {
        // Somebody else may take the port before the server has it.
        for _ in 0..20 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            drop(listener);
            if let Some(server) = Self::start(folder(), address, options, vec![]) {
                return server;
            }
        }
        panic!("memcached did not start on any of 20 free ports");
    }

    /// One on a socket in a folder of its own.
    pub fn on_socket(options: &[&str]) -> Self {
        let folder = folder();
        let address = folder.join("memcached.sock").display().to_string();
        Self::start(folder, address, options, vec![]).expect("memcached starts on a new socket")
    }

    /// One that asks for a username and a password with `-Y`.
    pub fn with_passwords(passwords: &str) -> Self {
        let folder = folder();
        let (file, address) = (folder.join("passwords"), folder.join("memcached.sock").display().to_string());
        fs::write(&file, passwords).unwrap();
        let file = file.display().to_string();
        Self::start(folder, address, &["-Y", &file], vec![]).expect("memcached starts with a file of passwords")
    }

    /// One that asks for SASL. It asks a `saslauthd` for the password, which a thread of this test stands in for, so that
    /// nothing has to be installed or written below `/etc`.
    pub fn with_sasl(username: &'static str, password: &'static str) -> Self {
        let folder = folder();
        let (mux, address) = (folder.join("mux"), folder.join("memcached.sock").display().to_string());
        let config = format!("mech_list: PLAIN\npwcheck_method: saslauthd\nsaslauthd_path: {}\n", mux.display());
        fs::write(folder.join("memcached.conf"), config).unwrap();
        let listener = UnixListener::bind(&mux).unwrap();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| check(stream, username, password)));
        let environment = vec![("SASL_CONF_PATH".to_owned(), folder.display().to_string())];
        Self::start(folder, address, &["-S"], environment).expect("memcached starts with SASL")
    }

    fn start(folder: PathBuf, address: String, options: &[&str], environment: Vec<(String, String)>) -> Option<Self> {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(&address, &options, &environment);
        let mut server = Self { child, folder, address, options, environment };
        server.is_up().then_some(server)
    }

    /// Waits until it takes connections; `false` if it ended.
    fn is_up(&mut self) -> bool {
        for _ in 0..500 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.is_reachable() {
                return true;
            }
            pause();
        }
        panic!("memcached takes no connections after five seconds");
    }

    fn is_reachable(&self) -> bool {
        if self.address.starts_with('/') {
            return UnixStream::connect(&self.address).map(|mut stream| hang_up(&mut stream)).is_ok();
        }
        std::net::TcpStream::connect(&self.address).map(|mut stream| hang_up(&mut stream)).is_ok()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn backend(&self) -> MemcachedBackend {
        self.builder().build().unwrap()
    }

    /// With more time than usual, since tests share a machine.
    pub fn builder(&self) -> MemcachedBackendBuilder {
        self.of(self.address())
    }

    /// The same for another address where it is reached.
    #[expect(clippy::unused_self, reason = "it is this server that is meant")]
    pub fn of(&self, address: &str) -> MemcachedBackendBuilder {
        MemcachedBackend::builder()
            .server(address)
            .timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_secs(5))
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it and starts it again, empty, where it was.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..50 {
            self.child = spawn(&self.address, &self.options, &self.environment);
            if self.is_up() {
                return;
            }
            pause();
        }
        panic!("memcached does not start again at {}", self.address);
    }

    /// Sends it a signal, as `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        // One thread may go on for a moment.
        while signal == "STOP" && !self.is_stopped() {
            pause();
        }
    }

    fn is_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
        })
    }

    /// Says something in the text protocol, and gives what it says up to `end`.
    pub fn say(&self, text: &str, end: &str) -> String {
        self.talk(text, |said| said.contains(end))
    }

    fn talk(&self, text: &str, is_over: impl Fn(&str) -> bool) -> String {
        let mut said = Vec::new();
        let mut talk = |stream: &mut dyn Line| {
            stream.write_all(text.as_bytes()).unwrap();
            let mut some = [0; 4_096];
            while !is_over(&String::from_utf8_lossy(&said)) {
                let length = stream.read(&mut some).unwrap();
                assert!(length > 0, "it closed the connection after {:?}", String::from_utf8_lossy(&said));
                said.extend_from_slice(&some[..length]);
            }
            hang_up(stream);
        };
        if self.address.starts_with('/') {
            talk(&mut UnixStream::connect(&self.address).unwrap());
        } else {
            talk(&mut std::net::TcpStream::connect(&self.address).unwrap());
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The keys of all that it has. Its crawler does one thing at a time, and says so.
    pub fn keys(&self) -> Vec<String> {
        loop {
            let is_over = |said: &str| said.ends_with("END\r\n") || said.starts_with("BUSY") && said.ends_with("\r\n");
            let dump = self.talk("lru_crawler metadump all\r\n", is_over);
            if dump.ends_with("END\r\n") {
                let keys = dump.lines().filter_map(|line| line.strip_prefix("key=")?.split(' ').next());
                return keys.map(|key| key.replace("%2F", "/").replace("%7E", "~")).collect();
            }
            pause();
        }
    }

    /// A number among its statistics.
    pub fn stat(&self, name: &str) -> u64 {
        let all = self.say("stats\r\n", "END\r\n");
        let line = all.lines().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        line.unwrap_or_else(|| panic!("no `{name}` in {all}")).trim().parse().unwrap()
    }
}

trait Line: Read + Write {
    /// Says that nothing more comes, and that nobody waits for long.
    fn end(&self) -> io::Result<()>;
}

impl Line for UnixStream {
    fn end(&self) -> io::Result<()> {
        self.set_read_timeout(Some(Duration::from_secs(5)))?;
        self.shutdown(Shutdown::Write)
    }
}

impl Line for std::net::TcpStream {
    fn end(&self) -> io::Result<()> {
        self.set_read_timeout(Some(Duration::from_secs(5)))?;
        self.shutdown(Shutdown::Write)
    }
}

/// Waits until the server has closed the connection too, and counts it no more.
fn hang_up(stream: &mut dyn Line) {
    let _ = stream.end().and_then(|()| stream.read_to_end(&mut Vec::new()));
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(address: &str, options: &[String], environment: &[(String, String)]) -> Child {
    let mut command = Command::new("memcached");
    match address.rsplit_once(':') {
        Some((host, port)) => command.args(["-l", host, "-p", port, "-U", "0"]),
        None => command.args(["-s", address]),
    };
    let user = env::var("USER").unwrap_or_else(|_| "root".to_owned());
    command.args(["-u", &user]).args(options).envs(environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("memcached: {error}; install the Debian package `memcached`"))
}

fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("axum-caching-memcached-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[expect(clippy::disallowed_methods, reason = "a process is waited for, which tells nobody when it is ready")]
pub fn pause() {
    thread::sleep(Duration::from_millis(10));
}

/// Stands between a client and a server, at the address that it gives. It asks `meddle` about all that a client sends, with
/// the number of its connection: what is answered in place of the server, if anything.
pub fn relay(
    server: &Memcached,
    meddle: impl Fn(usize, &[u8]) -> Option<&'static [u8]> + Clone + Send + 'static,
) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let address = format!("{}.relay{}", server.address(), NEXT.fetch_add(1, Ordering::Relaxed));
    let (listener, server) = (UnixListener::bind(&address).unwrap(), server.address().to_owned());
    thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let server = UnixStream::connect(&server).unwrap();
            let (mut answers, meddle) = (client.try_clone().unwrap(), meddle.clone());
            pump(server.try_clone().unwrap(), client.try_clone().unwrap(), |_| false);
            pump(client, server, move |sent| {
                meddle(number, sent).is_some_and(|answer| answers.write_all(answer).is_ok())
            });
        }
    });
    address
}

/// Copies what is not taken.
fn pump(mut from: UnixStream, mut to: UnixStream, mut takes: impl FnMut(&[u8]) -> bool + Send + 'static) {
    thread::spawn(move || {
        let mut some = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut some) {
            if !takes(&some[..length]) && to.write_all(&some[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// What `saslauthd` does: it reads username, password, service and realm, and says `OK` or `NO`.
fn check(mut stream: UnixStream, username: &str, password: &str) {
    let mut read = || {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let Ok([name, word, ..]) = (0..4).map(|_| read()).collect::<Result<Vec<_>, _>>().as_deref().map(|texts| {
        let texts: [Vec<u8>; 4] = texts.to_vec().try_into().unwrap();
        texts
    }) else {
        return;
    };
    let answer: &[u8] =
        if name == username.as_bytes() && word == password.as_bytes() { b"\0\x02OK" } else { b"\0\x02NO" };
    let _ = stream.write_all(answer);
}
