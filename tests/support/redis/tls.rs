//! Certificates that are made for one test.

use std::process::Command;

use super::{Folder, Server, free_port};

/// What servers show, and what their clients need.
pub struct Certificates {
    pub root: Vec<u8>,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    folder: Folder,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = Folder::new();
        make_certificates(&folder);
        let read = |name: &str| std::fs::read(folder.file(name)).unwrap();
        Self { root: read("root.crt"), certificate: read("leaf.crt"), key: read("leaf.key"), folder }
    }

    pub fn root_file(&self) -> String {
        self.folder.file("root.crt")
    }

    /// The settings of a server that also speaks TLS, at this port; `clients` says whether they have to show a
    /// certificate.
    pub fn settings(&self, port: u16, clients: bool) -> Vec<(&'static str, String)> {
        vec![
            ("tls-port", port.to_string()),
            ("tls-cert-file", self.folder.file("leaf.crt")),
            ("tls-key-file", self.folder.file("leaf.key")),
            ("tls-ca-cert-file", self.root_file()),
            ("tls-auth-clients", if clients { "yes" } else { "no" }.to_owned()),
        ]
    }

    /// As on a command line, with others.
    pub fn arguments(&self, port: u16, clients: bool, others: &[&str]) -> Vec<String> {
        let own = self.settings(port, clients).into_iter().flat_map(|(name, value)| [format!("--{name}"), value]);
        own.chain(others.iter().map(|other| (*other).to_owned())).collect()
    }
}

/// A server that speaks TLS, and what its clients need.
pub struct Secured {
    pub server: Server,
    pub certificates: Certificates,
    port: u16,
}

impl Secured {
    /// `clients` says whether clients have to show a certificate.
    pub fn start(clients: bool) -> Self {
        let (certificates, port) = (Certificates::new(), free_port());
        let server = Server::with(&certificates.arguments(port, clients, &[]));
        Self { server, certificates, port }
    }

    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }
}

fn make_certificates(folder: &Folder) {
    let path = |name: &str| folder.file(name);
    std::fs::write(path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let openssl = |args: &[&str], files: &[(&str, &str)]| {
        let mut command = Command::new("openssl");
        command.args(args);
        for (option, name) in files {
            command.arg(option).arg(path(name));
        }
        let output = command.output();
        let output = output
            .unwrap_or_else(|error| panic!("cannot start `openssl` ({error}): install the Debian package `openssl`"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let root = [&["req", "-x509", "-days", "2", "-subj", "/CN=root"][..], &key].concat();
    openssl(&root, &[("-keyout", "root.key"), ("-out", "root.crt")]);
    let leaf = [&["req", "-subj", "/CN=localhost"][..], &key].concat();
    openssl(&leaf, &[("-keyout", "leaf.key"), ("-out", "leaf.csr")]);
    let files =
        [("-in", "leaf.csr"), ("-CA", "root.crt"), ("-CAkey", "root.key"), ("-extfile", "names"), ("-out", "leaf.crt")];
    openssl(&["x509", "-req", "-days", "2", "-CAcreateserial"], &files);
}
