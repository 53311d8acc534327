//! What can be set about who may call.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    Algorithm,
    claims::Rules,
    jwk::Keys,
    source::{self, Source},
};

/// How often a file of keys is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(2);

/// Whether callers have to say who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Where there are keys to check tokens with. Else nobody is asked, and only this machine may be listened to.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: whoever reaches the ports may do everything.
    Off,
}

/// How callers are known. Read by catalog and reservation.
#[derive(clap::Args, Clone, Debug)]
pub struct AuthConfig {
    /// Whether callers have to say who they are. Without keys, `auto` asks nobody, and refuses to listen to any address but this
    /// machine's own. `off` asks nobody and listens anywhere: WHOEVER REACHES THE PORTS MAY DO EVERYTHING.
    #[arg(long, env = "HOLDFAST_AUTH", value_enum, default_value_t = Mode::Auto, value_name = "WHEN")]
    pub auth: Mode,
    /// The keys that tokens are checked with, as a JWK set: a file, which is followed, or an http(s) URL.
    #[arg(long, env = "HOLDFAST_AUTH_JWKS", value_name = "FILE|URL")]
    pub auth_jwks: Option<String>,
    /// Who vouches for the server of that URL: a file of certificates (PEM). Without it, those that browsers trust.
    #[arg(long, env = "HOLDFAST_AUTH_JWKS_CA_FILE", value_name = "FILE")]
    pub auth_jwks_ca_file: Option<PathBuf>,
    /// How often the keys are fetched from their URL, in seconds.
    #[arg(long, env = "HOLDFAST_AUTH_JWKS_INTERVAL_S", default_value_t = 300, value_name = "S",
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub auth_jwks_interval_s: u32,
    /// How soon again at the earliest, when a token names a key that is not known, in milliseconds.
    #[arg(long, env = "HOLDFAST_AUTH_JWKS_PACE_MS", default_value_t = 5_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(100..=3_600_000))]
    pub auth_jwks_pace_ms: u32,
    /// How long keys are believed after they were seen last, while nobody can tell whether they still are the issuer's, in seconds: twice
    /// the interval or more.
    #[arg(long, env = "HOLDFAST_AUTH_JWKS_MAX_AGE_S", default_value_t = 86_400, value_name = "S",
          value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub auth_jwks_max_age_s: u32,
    /// Who issues the tokens: their claim `iss`.
    #[arg(long, env = "HOLDFAST_AUTH_ISSUER", value_name = "ISSUER")]
    pub auth_issuer: Option<String>,
    /// Whom the tokens are for: what their claim `aud` is or has among others.
    #[arg(long, env = "HOLDFAST_AUTH_AUDIENCE", value_name = "AUDIENCE")]
    pub auth_audience: Option<String>,
    /// How tokens may be signed, parted by commas.
    #[arg(
        long,
        env = "HOLDFAST_AUTH_ALGORITHMS",
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "RS256,PS256,ES256,ES384,EdDSA"
    )]
    pub auth_algorithms: Vec<Algorithm>,
    /// The claim that has the role: customer, operator or service; or a list with one of them. A name with dots leads into objects:
    /// realm_access.roles.
    #[arg(long, env = "HOLDFAST_AUTH_ROLE_CLAIM", default_value = "role", value_name = "CLAIM")]
    pub auth_role_claim: String,
    /// How far the clocks of the issuer and of this machine may be apart, in seconds.
    #[arg(long, env = "HOLDFAST_AUTH_LEEWAY_S", default_value_t = 30, value_name = "S",
          value_parser = clap::value_parser!(u16).range(0..=300))]
    pub auth_leeway_s: u16,
    /// The names of client certificates whose callers are services, parted by commas: DNS names, and URIs,
    /// which have colons. Each as in the certificate, and of the same kind there.
    #[arg(long, env = "HOLDFAST_SERVICE_NAMES", value_delimiter = ',', value_name = "NAMES")]
    pub service_names: Vec<String>,
}

impl AuthConfig {
    /// Whether callers have to say who they are.
    #[must_use]
    pub fn is_on(&self) -> bool {
        match self.auth {
            Mode::Auto => given(self.auth_jwks.as_deref()).is_some(),
            Mode::On => true,
            Mode::Off => false,
        }
    }

    /// Whether it can be used, as far as that is known without calling anyone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.is_on() {
            let given = self.given_for_nothing();
            ensure!(
                given.is_empty(),
                "callers would not be asked who they are, {}, although {} is set: take the one or the other away",
                if self.auth == Mode::Off {
                    "as HOLDFAST_AUTH=off says"
                } else {
                    "as HOLDFAST_AUTH_JWKS is not set"
                },
                given.join(", ")
            );
            return Ok(());
        }
        self.rules()?;
        let source = self.source()?;
        ensure!(
            self.max_age() >= 2 * self.interval(&source),
            "HOLDFAST_AUTH_JWKS_MAX_AGE_S is {} s, which is less than twice the time from one look at the keys to the next: \
             they would be too old when one look fails",
            self.auth_jwks_max_age_s
        );
        match source {
            Source::File(path) => read(&path).map(drop),
            Source::Url(_) => Ok(()),
        }
    }

    /// What is set that has a meaning only where callers are asked who they are.
    fn given_for_nothing(&self) -> Vec<&'static str> {
        let is_given = |value: &Option<String>| given(value.as_deref()).is_some();
        let all = [
            ("HOLDFAST_AUTH_JWKS", is_given(&self.auth_jwks)),
            ("HOLDFAST_AUTH_JWKS_CA_FILE", self.auth_jwks_ca_file.is_some()),
            ("HOLDFAST_AUTH_ISSUER", is_given(&self.auth_issuer)),
            ("HOLDFAST_AUTH_AUDIENCE", is_given(&self.auth_audience)),
            ("HOLDFAST_SERVICE_NAMES", self.service_names().next().is_some()),
        ];
        all.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }

    /// The names of client certificates whose callers are services.
    pub fn service_names(&self) -> impl Iterator<Item = &str> {
        self.service_names.iter().filter_map(|name| given(Some(name)))
    }

    /// Whether it may serve at these addresses, each with the variable that names it.
    ///
    /// # Errors
    /// Others could reach one of them, and nobody would be asked who they are.
    pub fn check_addresses(&self, addresses: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
        if self.is_on() || self.auth == Mode::Off {
            return Ok(());
        }
        for (variable, address) in addresses {
            if !address.ip().to_canonical().is_loopback() {
                bail!(
                    "{variable} is {address}, which others can reach, and callers would not be asked who they are: set \
                     HOLDFAST_AUTH_JWKS (docs/auth.md), or listen to 127.0.0.1, or, where something else keeps strangers out, \
                     HOLDFAST_AUTH=off"
                );
            }
        }
        Ok(())
    }

    /// What tokens must say.
    pub(crate) fn rules(&self) -> anyhow::Result<Rules> {
        let issuer = given(self.auth_issuer.as_deref()).context("HOLDFAST_AUTH_ISSUER is not set")?;
        let audience = given(self.auth_audience.as_deref()).context("HOLDFAST_AUTH_AUDIENCE is not set")?;
        ensure!(!self.auth_role_claim.is_empty(), "HOLDFAST_AUTH_ROLE_CLAIM is empty");
        ensure!(!self.auth_algorithms.is_empty(), "HOLDFAST_AUTH_ALGORITHMS is empty");
        Ok(Rules {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            role_claim: self.auth_role_claim.clone(),
            leeway: Duration::from_secs(self.auth_leeway_s.into()),
        })
    }

    /// Where the keys are.
    pub(crate) fn source(&self) -> anyhow::Result<Source> {
        let place = given(self.auth_jwks.as_deref()).context("HOLDFAST_AUTH_JWKS is not set")?;
        Source::new(place, self.auth_jwks_ca_file.as_deref()).context("HOLDFAST_AUTH_JWKS")
    }

    /// How often the keys are looked at.
    pub(crate) fn interval(&self, source: &Source) -> Duration {
        match source {
            Source::File(_) => FILE_INTERVAL,
            Source::Url(_) => Duration::from_secs(self.auth_jwks_interval_s.into()),
        }
    }

    /// How long they are believed after they were seen last.
    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_secs(self.auth_jwks_max_age_s.into())
    }
}

/// The keys in this file as they are now; one that has none is of no use to begin with.
pub(crate) fn read(path: &Path) -> anyhow::Result<(Vec<u8>, Keys)> {
    let context = || format!("HOLDFAST_AUTH_JWKS, {}", path.display());
    let text = source::read_file(path).with_context(context)?;
    let keys = Keys::parse(&text).with_context(context)?;
    ensure!(!keys.is_empty(), "{}: none of its {} keys can check a signature", context(), keys.left_out);
    Ok((text, keys))
}

/// A variable that is set to nothing is not set.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        auth: AuthConfig,
    }

    fn config(arguments: &[&str]) -> AuthConfig {
        Program::parse_from([&["program"], arguments].concat()).auth
    }

    fn refusal(arguments: &[&str], address: &str) -> Option<String> {
        let config = config(arguments);
        let checked = config.check();
        let checked =
            checked.and_then(|()| config.check_addresses(&[("HOLDFAST_LISTEN", address.parse().unwrap())]));
        checked.err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn without_keys_only_this_machine_may_be_listened_to_unless_that_is_said() {
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(refusal(&[], address), None, "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.168.1.1:1", "[::ffff:10.0.0.1]:1"] {
            let why = refusal(&[], address).unwrap();
            assert!(why.contains("HOLDFAST_AUTH_JWKS") && why.contains(address), "{why}");
            assert_eq!(refusal(&["--auth", "off"], address), None, "{address}");
        }
    }

    #[test]
    fn half_of_a_configuration_is_refused() {
        let keys = ["--auth-jwks", "https://issuer.example/keys"];
        let issuer = ["--auth-issuer", "https://issuer.example"];
        let audience = ["--auth-audience", "holdfast"];
        for (arguments, why) in [
            (keys.to_vec(), "HOLDFAST_AUTH_ISSUER"),
            ([keys, issuer].concat(), "HOLDFAST_AUTH_AUDIENCE"),
            (issuer.to_vec(), "HOLDFAST_AUTH_JWKS"),
            (vec!["--auth", "on"], "HOLDFAST_AUTH_ISSUER"),
            ([["--auth", "on"], issuer, audience].concat(), "HOLDFAST_AUTH_JWKS"),
            ([["--auth-jwks", "/nowhere/keys.json"], issuer, audience].concat(), "/nowhere/keys.json"),
            ([["--auth-jwks", "https://u:p@issuer.example/"], issuer, audience].concat(), "password"),
            ([["--auth-jwks", "http://issuer.example/keys"], issuer, audience].concat(), "https://"),
            (
                [keys, issuer, audience, ["--auth-jwks-max-age-s", "599"]].concat(),
                "HOLDFAST_AUTH_JWKS_MAX_AGE_S",
            ),
        ] {
            let said = refusal(&arguments, "127.0.0.1:1").unwrap();
            assert!(said.contains(why), "{arguments:?}: {said}");
        }
        assert_eq!(refusal(&[keys, issuer, audience].concat(), "0.0.0.0:1"), None);
        assert!(config(&[keys, issuer, audience].concat()).is_on());
    }

    #[test]
    fn off_beside_what_asks_callers_who_they_are_is_refused_and_so_is_what_would_ask_nobody() {
        for (option, value, name) in [
            ("--auth-jwks", "https://issuer.example/keys", "HOLDFAST_AUTH_JWKS"),
            ("--auth-jwks-ca-file", "/ca.pem", "HOLDFAST_AUTH_JWKS_CA_FILE"),
            ("--auth-issuer", "https://issuer.example", "HOLDFAST_AUTH_ISSUER"),
            ("--auth-audience", "holdfast", "HOLDFAST_AUTH_AUDIENCE"),
            ("--service-names", "reservation", "HOLDFAST_SERVICE_NAMES"),
        ] {
            let said = refusal(&["--auth", "off", option, value], "127.0.0.1:1").unwrap();
            assert!(said.contains("HOLDFAST_AUTH=off") && said.contains(name), "{said}");
            if name != "HOLDFAST_AUTH_JWKS" {
                let said = refusal(&[option, value], "127.0.0.1:1").unwrap();
                assert!(said.contains("HOLDFAST_AUTH_JWKS is not set") && said.contains(name), "{said}");
            }
            // Set to nothing is not set.
            if option != "--auth-jwks-ca-file" {
                assert_eq!(refusal(&["--auth", "off", option, ""], "0.0.0.0:1"), None, "{name}");
            }
        }
    }
}
