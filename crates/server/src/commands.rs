//! What every service program can do beside serving: say what it is, whether it is well, and what its configuration comes to.

use std::{
    env,
    ffi::OsStr,
    fmt::{self, Display, Formatter},
    net::SocketAddr,
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};
use telemetry::Build;

use crate::{TlsConfig, ending::misconfigured, healthcheck::healthcheck};

/// The commands of every service.
#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT. What is done without a command.
    Serve,
    /// Check the configuration without connecting to anything, and print what would be used; passwords are not shown.
    ///
    /// Exit status: 0, it can be used; 2, it cannot, and why.
    CheckConfig,
    /// Ask the service that runs on this machine with this configuration whether it is ready.
    ///
    /// Exit status: 0, it is; 1, it is not, or does not answer.
    Healthcheck {
        /// Ask only whether the process runs.
        #[arg(long)]
        live: bool,
    },
    /// Print the version, and the commit that it was built from.
    Version,
}

impl Command {
    /// Carries it out, unless it is to serve. Answers whether it did. `http_listen`, `tls` and `check` are the
    /// configuration's.
    ///
    /// # Errors
    /// The configuration cannot be used; or the service is not ready, or does not answer.
    pub async fn carry_out(
        self,
        build: &Build,
        settings: &Settings,
        http_listen: SocketAddr,
        tls: &TlsConfig,
        check: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        match self {
            Self::Serve => return Ok(false),
            Self::CheckConfig => {
                check().map_err(misconfigured)?;
                print!("{settings}");
            }
            Self::Healthcheck { live } => {
                println!("{}", healthcheck(http_listen, tls.is_on(), live).await?);
            }
            Self::Version => println!("{build}"),
        }
        Ok(true)
    }
}

/// Reads the configuration from flags and environment; ends the process, with help, if it cannot be read.
#[must_use]
pub fn parse<C: CommandFactory + FromArgMatches>() -> (C, Settings) {
    let command = C::command();
    let matches = command.clone().get_matches();
    let settings = Settings::new(&command, &matches);
    (C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), settings)
}

/// What a configuration comes to, to be printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    settings: Vec<Setting>,
    /// Variables that look as if they were meant for it, and are not.
    unused: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    variable: String,
    value: Option<String>,
    from: &'static str,
}

impl Settings {
    fn new(command: &clap::Command, matches: &ArgMatches) -> Self {
        let settings: Vec<Setting> = command
            .get_arguments()
            .filter_map(|argument| {
                let id = argument.get_id().as_str();
                let raw = matches.get_raw(id).map(|values| {
                    let values: Vec<_> = values.map(OsStr::to_string_lossy).collect();
                    values.join(",")
                });
                let from = match matches.value_source(id) {
                    Some(ValueSource::CommandLine) => "flag",
                    Some(ValueSource::EnvVariable) => "environment",
                    _ => "default",
                };
                let variable = argument.get_env()?.to_string_lossy().into_owned();
                let value = raw.filter(|value| !value.is_empty()).map(|value| masked(&value));
                Some(Setting { variable, value, from })
            })
            .collect();
        let variables = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let is_used = |name: &String| settings.iter().any(|setting| setting.variable == *name);
        let mut unused: Vec<_> =
            variables.filter(|name| name.starts_with("HOLDFAST_") && !is_used(name)).collect();
        unused.sort_unstable();
        Self { settings, unused }
    }
}

impl Display for Settings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Setting { variable, value, from } in &self.settings {
            let value = value.as_deref().unwrap_or("(not set)");
            writeln!(f, "{variable}={value}  # {from}")?;
        }
        for name in &self.unused {
            writeln!(f, "# {name} is set, and means nothing here")?;
        }
        Ok(())
    }
}

/// Hides what may be a secret in a URL, or in several: all between `://` and the last `@` before the next one, and passwords among
/// the parameters.
fn masked(value: &str) -> String {
    let mut parts = value.split("://");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("://");
        match part.rsplit_once('@') {
            Some((_, rest)) => text.extend(["***@", rest]),
            None => text.push_str(part),
        }
    }
    mask_parameters(&text)
}

fn mask_parameters(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else { return text.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if name.contains("password") => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden_and_nothing_else() {
        for (value, shown) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("info,catalog=debug", "info,catalog=debug"),
            ("http://catalog:50051,http://other:50051", "http://catalog:50051,http://other:50051"),
            (
                "postgres://me:geheim@h1:5432,h2/db?sslmode=require",
                "postgres://***@h1:5432,h2/db?sslmode=require",
            ),
            ("postgres://me:ge@he,im@h1/db", "postgres://***@h1/db"),
            ("postgres://h1/db?user=me&password=geheim", "postgres://h1/db?user=me&password=***"),
            ("amqp://a:geheim@h1,amqps://b:geheim@h2/x", "amqp://***@h1,amqps://***@h2/x"),
        ] {
            let masked = masked(value);
            assert!(!masked.contains("geheim") && !masked.contains("he,im"), "{masked}");
            assert_eq!(masked, shown, "{value}");
        }
    }
}
