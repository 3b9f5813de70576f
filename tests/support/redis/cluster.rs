//! A cluster of three masters.

use super::{Server, free_port, tls::Certificates, until};

pub struct Cluster {
    pub nodes: Vec<Server>,
    /// Where clients find them.
    ports: Vec<u16>,
    ids: Vec<String>,
}

const SLOTS: u16 = 16_384;

impl Cluster {
    pub fn start() -> Self {
        Self::of(|| Self::node(|| (None, Vec::new())))
    }

    /// Its nodes and its clients speak TLS.
    pub fn over_tls(certificates: &Certificates) -> Self {
        Self::of(|| {
            Self::node(|| {
                let port = free_port();
                (Some(port), certificates.arguments(port, false, &["--tls-cluster", "yes"]))
            })
        })
    }

    fn of(node: impl Fn() -> (Server, u16)) -> Self {
        let (nodes, ports): (Vec<Server>, Vec<u16>) = (0..3).map(|_| node()).unzip();
        let share = SLOTS / 3 + 1;
        for (index, node) in (0..).zip(&nodes) {
            let (first, end) = (share * index, (share * (index + 1)).min(SLOTS));
            node.run::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1));
            node.run::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
        }
        for (node, port) in nodes.iter().zip(&ports).skip(1) {
            nodes[0].run::<()>(&format!("CLUSTER MEET 127.0.0.1 {port} {}", bus_of(node)));
        }
        let ids = nodes.iter().map(|node| node.run("CLUSTER MYID")).collect();
        let cluster = Self { nodes, ports, ids };
        until("the cluster is whole", || {
            cluster.nodes.iter().all(|node| {
                let info: String = node.run("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        cluster
    }

    /// A node, and the port that its clients use: its own, unless its settings say another.
    fn node(settings: impl Fn() -> (Option<u16>, Vec<String>)) -> (Server, u16) {
        for _ in 0..5 {
            let (port, mut settings) = settings();
            let bus = free_port().to_string();
            settings.extend(
                [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "2000",
                    "--cluster-require-full-coverage",
                    "no",
                ]
                .map(str::to_owned),
            );
            let server = Server::with(&settings);
            // A port for the bus that somebody took meanwhile ends the server.
            if server.try_run::<String>("CLUSTER MYID").is_ok() {
                let port = port.unwrap_or(server.port);
                return (server, port);
            }
        }
        panic!("no node of a cluster starts");
    }

    pub fn seeds(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    pub fn slot_of(&self, key: &str) -> u16 {
        let mut command = redis::cmd("CLUSTER");
        command.arg("KEYSLOT").arg(key);
        command.query(&mut self.nodes[0].connection()).unwrap()
    }

    /// Who has a slot now.
    pub fn owner_of(&self, slot: u16) -> usize {
        let has = |node: &Server| {
            let lines: String = node.run("CLUSTER NODES");
            let own = lines.lines().find(|line| line.contains("myself")).unwrap().to_owned();
            own.split(' ').skip(8).any(|range| {
                let mut ends = range.split('-').map(str::parse::<u16>);
                let (Some(Ok(first)), last) = (ends.next(), ends.next()) else { return false };
                (first..=last.and_then(Result::ok).unwrap_or(first)).contains(&slot)
            })
        };
        self.nodes.iter().position(has).expect("somebody has it")
    }

    /// Begins to move a slot: its keys go over one by one, and redirections are `ASK`.
    pub fn begin_move(&self, slot: u16, to: usize) -> usize {
        let from = self.owner_of(slot);
        self.nodes[to].run::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from]));
        self.nodes[from].run::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to]));
        from
    }

    /// Moves all keys of a slot that is being moved.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        loop {
            let keys: Vec<Vec<u8>> = self.nodes[from].run(&format!("CLUSTER GETKEYSINSLOT {slot} 10"));
            if keys.is_empty() {
                return;
            }
            let mut command = redis::cmd("MIGRATE");
            command.arg("127.0.0.1").arg(self.nodes[to].port).arg("").arg(0).arg(5_000).arg("KEYS").arg(keys);
            let _: String = command.query(&mut self.nodes[from].connection()).unwrap();
        }
    }

    /// Ends it: redirections are `MOVED` from here on.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        for node in [to, from, 3 - from - to] {
            self.nodes[node].run::<()>(&format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]));
        }
    }
}

fn bus_of(node: &Server) -> String {
    let lines: String = node.run("CLUSTER NODES");
    lines.split(['@', ' ', ',']).nth(2).expect("an address has a bus").to_owned()
}
