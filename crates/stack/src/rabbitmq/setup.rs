//! The configuration and the environment of the private node and of the tools that talk to it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::RabbitMq;
use super::cluster::node_name;

/// Moves messages from a lane to its dead-letter exchange in big steps, for expiry storms, and sends again what is not confirmed
/// within 10 s: without a word a lane waits for 3 minutes when the queue behind it loses its leader just then.
const ADVANCED_CONFIG: &str = "[{rabbit, [
    {dead_letter_worker_consumer_prefetch, 512},
    {dead_letter_worker_publisher_confirm_timeout, 10000}
]}].\n";

/// Keeps Erlang's threads from spinning while idle: they would take the processor from everything else.
const ERL_ARGS: &str = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";

impl RabbitMq {
    /// Writes the configuration; returns its folder.
    pub(super) fn configure(&self) -> Result<PathBuf> {
        let dir = self.dir();
        fs::create_dir_all(dir.join("mnesia")).with_context(|| format!("create {}", dir.display()))?;
        let mut config = format!(
            "{}log.console = true\nlog.console.level = info\nlog.console.use_colors = off\nlog.file = false\n",
            self.listeners()?
        );
        config.push_str(&self.cluster_config());
        let files = [
            ("rabbitmq.conf", config.as_str()),
            ("advanced.config", ADVANCED_CONFIG),
            ("env.conf", ""),
            ("enabled_plugins", "[].\n"),
        ];
        for (name, text) in files {
            fs::write(dir.join(name), text).with_context(|| format!("write {name}"))?;
        }
        Ok(dir)
    }

    /// Where it listens; with TLS for clients with a certificate alone.
    fn listeners(&self) -> Result<String> {
        let port = self.ports.amqp;
        let Some(pki) = &self.tls else { return Ok(format!("listeners.tcp.1 = 127.0.0.1:{port}\n")) };
        let own = pki.issue(&self.name, &[])?;
        Ok(format!(
            "listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            pki.ca().display(),
            own.cert.display(),
            own.key.display()
        ))
    }

    /// A command with nothing of the caller's environment: a RABBITMQ_ variable in it would change the node.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        let path = env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        command
            .current_dir("/")
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("HOME", dir)
            .env("RABBITMQ_NODENAME", node_name(self.ports.amqp))
            .env("RABBITMQ_CONF_ENV_FILE", dir.join("env.conf"))
            .env("ERL_EPMD_PORT", self.epmd.port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command
    }

    pub(super) fn server_command(&self, dir: &Path) -> Command {
        let mut command = self.command(&self.script, dir);
        command
            .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
            .env("RABBITMQ_MNESIA_DIR", dir.join("mnesia/node"))
            .env("RABBITMQ_LOG_BASE", dir)
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERL_ARGS)
            // Makes the script become the node instead of staying beside it.
            .env("RUNNING_UNDER_SYSTEMD", "true");
        command
    }
}
