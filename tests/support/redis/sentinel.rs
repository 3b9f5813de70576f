//! A master with a replica, and sentinels that watch them.

use std::process::Child;

use super::{Folder, Server, free_port, start, tls::Certificates, until};

pub struct Watched {
    pub master: Server,
    pub replica: Server,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    port: u16,
    /// Where clients find it.
    public: u16,
    _folder: Folder,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// With these both the servers and the sentinels are asked.
pub const PASSWORD: &str = "of the server";
pub const SENTINEL_PASSWORD: &str = "of the sentinels";

impl Watched {
    pub fn start() -> Self {
        let auth = ["--requirepass", PASSWORD, "--masterauth", PASSWORD];
        let master = Server::with(&auth);
        let port = master.port.to_string();
        let replica = Server::with(&[&auth[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let sentinels = (0..3).map(|_| Sentinel::start(master.port, None)).collect();
        Self::of(master, replica, sentinels)
    }

    /// All of them, and their clients, speak TLS.
    pub fn over_tls(certificates: &Certificates) -> Self {
        let port = free_port();
        let auth = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--tls-replication", "yes"];
        let master = Server::with(&certificates.arguments(port, false, &auth));
        let follows = ["--replicaof", "127.0.0.1", &port.to_string()];
        let replica = Server::with(&certificates.arguments(free_port(), false, &[&auth[..], &follows].concat()));
        let sentinels = (0..3).map(|_| Sentinel::start(port, Some(certificates))).collect();
        Self::of(master, replica, sentinels)
    }

    fn of(master: Server, replica: Server, sentinels: Vec<Sentinel>) -> Self {
        let watched = Self { master, replica, sentinels };
        until("the replica follows", || Self::info(&watched.replica).contains("master_link_status:up"));
        until("the sentinels know each other", || {
            watched.sentinels.iter().all(|sentinel| sentinel.knows("slaves=1,sentinels=3"))
        });
        watched
    }

    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.public)).collect()
    }

    pub fn info(server: &Server) -> String {
        let url = format!("redis://127.0.0.1:{}", server.port);
        let client = redis::Client::open(url).unwrap();
        let info = client.get_connection_info().redis_settings().clone().set_password(PASSWORD);
        let client = redis::Client::open(client.get_connection_info().clone().set_redis_settings(info)).unwrap();
        let Ok(mut connection) = client.get_connection() else { return String::new() };
        redis::cmd("INFO").arg("replication").query(&mut connection).unwrap_or_default()
    }

    /// Until the replica has taken over.
    pub fn await_failover(&self) {
        until("the replica takes over", || Self::info(&self.replica).contains("role:master"));
    }
}

impl Sentinel {
    fn start(master: u16, certificates: Option<&Certificates>) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        let public = if certificates.is_some() { free_port() } else { port };
        let mut tls = Vec::new();
        if let Some(certificates) = certificates {
            let own = certificates.settings(public, false);
            tls.extend(own.iter().map(|(name, value)| format!("{name} \"{value}\"\n")));
            tls.push("tls-replication yes\n".to_owned());
        }
        let tls = tls.concat();
        let file = folder.file("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass \"{SENTINEL_PASSWORD}\"\nsentinel monitor shop 127.0.0.1 {master} 2\n\
             sentinel auth-pass shop \"{PASSWORD}\"\nsentinel down-after-milliseconds shop 1000\n\
             sentinel failover-timeout shop 5000\n{tls}",
            folder.path().display()
        );
        std::fs::write(&file, settings).unwrap();
        let child = start("redis-sentinel", "redis-sentinel", &[file]);
        let sentinel = Self { child, port, public, _folder: folder };
        until("a sentinel starts", || sentinel.knows("name=shop"));
        sentinel
    }

    fn knows(&self, text: &str) -> bool {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let info = client.get_connection_info().redis_settings().clone().set_password(SENTINEL_PASSWORD);
        let client = redis::Client::open(client.get_connection_info().clone().set_redis_settings(info)).unwrap();
        let Ok(mut connection) = client.get_connection() else { return false };
        redis::cmd("INFO").arg("sentinel").query::<String>(&mut connection).is_ok_and(|info| info.contains(text))
    }
}
