//! Certificates that are made for one test.

use std::process::Command;

use super::{Folder, Server, free_port};

/// A server that speaks TLS only, and what its clients need.
pub struct Secured {
    pub server: Server,
    pub root: Vec<u8>,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    _folder: Folder,
    port: u16,
}

impl Secured {
    /// `clients` says whether clients have to show a certificate.
    pub fn start(clients: bool) -> Self {
        let folder = Folder::new();
        make_certificates(&folder);
        let port = free_port();
        let (tls_port, ask) = (port.to_string(), if clients { "yes" } else { "no" });
        let (certificate, key, root) = (folder.file("leaf.crt"), folder.file("leaf.key"), folder.file("root.crt"));
        let server = Server::with(&[
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &root,
            "--tls-auth-clients",
            ask,
        ]);
        let read = |file: &str| std::fs::read(file).unwrap();
        Self { server, root: read(&root), certificate: read(&certificate), key: read(&key), _folder: folder, port }
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
