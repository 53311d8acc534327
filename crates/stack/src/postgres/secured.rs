//! PostgreSQL with TLS alone: certificates for the server, and for the roles in place of passwords.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Postgres, Schema};

/// Who may come, and how: never in plain text, and with a certificate in the role's own name. The stack's own superuser needs none.
const HBA: &str = "hostssl all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 cert\n";

impl Postgres {
    /// Issues the certificates of the server and of all roles, where it has TLS, and they are not there yet.
    pub(super) fn write_certificates(&self) -> Result<()> {
        let Some(pki) = &self.options.tls else { return Ok(()) };
        let (cert, key, hba) = self.tls_files();
        if hba.exists() {
            return Ok(());
        }
        let server = pki.issue(self.name, &[])?;
        self.install.prepare(&self.tls_dir())?;
        fs::copy(&server.cert, &cert).with_context(|| format!("copy to {}", cert.display()))?;
        fs::copy(&server.key, &key).with_context(|| format!("copy to {}", key.display()))?;
        self.install.give(&cert)?;
        self.install.give(&key)?;
        for role in Schema::ALL.into_iter().flat_map(|schema| [schema.owner(), schema.role()]) {
            pki.issue(&role_file(role), &[("CN", role)])?;
        }
        // The last of all: it says that the others are there.
        fs::write(&hba, HBA).with_context(|| format!("write {}", hba.display()))?;
        self.install.give(&hba)
    }

    pub(super) fn tls_settings(&self) -> Vec<(&'static str, String)> {
        let Some(pki) = &self.options.tls else { return Vec::new() };
        let (cert, key, hba) = self.tls_files();
        vec![
            ("ssl", "on".to_owned()),
            ("ssl_ca_file", pki.ca().display().to_string()),
            ("ssl_cert_file", cert.display().to_string()),
            ("ssl_key_file", key.display().to_string()),
            ("hba_file", hba.display().to_string()),
        ]
    }

    /// What a URL says of certificates.
    pub(super) fn url_parameters(&self, user: &str) -> String {
        let Some(pki) = &self.options.tls else { return String::new() };
        let ca = pki.ca().display().to_string();
        if user == "postgres" {
            return format!("?sslmode=verify-full&sslrootcert={ca}");
        }
        let own = pki.files(&role_file(user));
        let (cert, key) = (own.cert.display(), own.key.display());
        format!("?sslmode=verify-full&sslrootcert={ca}&sslcert={cert}&sslkey={key}")
    }

    fn tls_dir(&self) -> PathBuf {
        self.data.with_file_name("tls")
    }

    fn tls_files(&self) -> (PathBuf, PathBuf, PathBuf) {
        let dir = self.tls_dir();
        (dir.join("server.pem"), dir.join("server.key"), dir.join("pg_hba.conf"))
    }
}

/// What the certificate of a role is called among the stack's others.
fn role_file(role: &str) -> String {
    format!("role-{role}")
}
