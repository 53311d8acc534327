//! Several nodes in one cluster: each queue has a replica on every one of them.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use uuid::Uuid;

use super::{Epmd, RabbitMq};
use crate::home::Home;

impl RabbitMq {
    /// Starts so many nodes that form a cluster, at the same time, and waits until each knows the others.
    /// They end with `home`.
    pub fn cluster(home: &Arc<Home>, size: usize) -> Result<Vec<Self>> {
        let cookie = Uuid::new_v4().simple().to_string();
        let epmd = Arc::new(Epmd::new()?);
        let mut nodes = Vec::new();
        for number in 1..=size {
            let mut node = Self::at(home, format!("rabbitmq-{number}"))?;
            node.epmd = Arc::clone(&epmd);
            node.share_cookie(&cookie)?;
            nodes.push(node);
        }
        let members: Vec<u16> = nodes.iter().map(Self::port).collect();
        for node in &mut nodes {
            node.members.clone_from(&members);
        }
        thread::scope(|scope| {
            let starts: Vec<_> = nodes.iter().map(|node| scope.spawn(|| node.restart())).collect();
            starts
                .into_iter()
                .try_for_each(|start| start.join().map_err(|_| anyhow!("the start of a node panicked"))?)
        })?;
        if let Some(node) = nodes.first() {
            node.control("rabbitmqctl", &["-q", "-t", "60", "await_online_nodes", &size.to_string()])?;
        }
        Ok(nodes)
    }

    /// The secret by which nodes, and tools, know each other.
    fn share_cookie(&self, cookie: &str) -> Result<()> {
        let path = self.dir().join(".erlang.cookie");
        ensure!(!path.exists(), "{} is in use: a cluster does not start twice", path.display());
        fs::create_dir_all(self.dir()).context("create the node's folder")?;
        fs::write(&path, cookie).context("write the cookie")?;
        fs::set_permissions(&path, Permissions::from_mode(0o400)).context("protect the cookie")
    }

    /// Who the others are. A node that sees no majority stops itself: nothing is confirmed that could get lost.
    pub(super) fn cluster_config(&self) -> String {
        if self.members.is_empty() {
            return String::new();
        }
        let mut config = String::from(
            "cluster_partition_handling = pause_minority\ncluster_formation.peer_discovery_backend = classic_config\n",
        );
        for (index, port) in self.members.iter().enumerate() {
            let name = node_name(*port);
            let _ = writeln!(config, "cluster_formation.classic_config.nodes.{} = {name}", index + 1);
        }
        config
    }
}

/// The name of the node that listens on this AMQP port.
pub(super) fn node_name(port: u16) -> String {
    format!("holdfast-{port}@localhost")
}
