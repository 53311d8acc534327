//! REST: a service's gRPC API as JSON over HTTP, made of its descriptors and their `google.api.http` annotations.
//!
//! A request becomes the message of its RPC and is called through the very stack that the gRPC port serves
//! ([`server::Calls`]), so that everything that a call passes there it passes from here. Beside it: gRPC-Web, for browsers;
//! a description of it all (OpenAPI 3.1) at `/openapi.json`; and a page that shows that, at `/docs`.
//! Owns no rule of the business and none of validation. Decisions: `docs/adr/0011`.

mod answer;
mod body;
mod call;
mod cors;
mod docs;
mod edge;
mod error;
mod frame;
mod hosts;
mod json;
mod kinds;
mod openapi;
mod place;
mod read;
mod request;
mod response;
mod route;
mod rule;
mod template;
mod text;
mod unsent;
mod web;
mod write;

use std::sync::Arc;

use axum::Router;
use server::Calls;

pub use docs::Document;
pub use error::Refused;

use crate::{call::Rpcs, cors::Cors, docs::Docs, edge::Edge, hosts::Hosts, unsent::Answers, web::Web};

/// Who may call from a browser, and by which name.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RestConfig {
    /// Web pages that may call over HTTP: their origins, such as https://shop.example, parted by commas. Those of the service
    /// itself always may, and those of this machine where the service is called as localhost; others change nothing.
    #[arg(long, env = "HOLDFAST_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGINS")]
    pub cors_origins: Vec<String>,
    /// Public names by which the service is called over HTTP, such as api.shop.example, parted by commas; *.shop.example: all that
    /// end so; *: any. Addresses, localhost, and names that nobody can register (without a dot, or below .local, .internal, .svc,
    /// .lan) need not be named; `service.namespace` of Kubernetes must be, as it looks like anybody's domain.
    #[arg(long, env = "HOLDFAST_HTTP_HOSTS", value_delimiter = ',', value_name = "NAMES")]
    pub http_hosts: Vec<String>,
}

/// What is offered over HTTP.
#[derive(Clone, Debug)]
pub struct Api {
    /// What it is called: for people.
    pub title: &'static str,
    /// The gRPC services, by their full names: the public ones. The internal ones are not to be named.
    pub services: Vec<&'static str>,
    /// The largest body of a request.
    pub max_body_bytes: usize,
    /// Whether callers show a bearer token.
    pub bearer: bool,
    /// The descriptions that the page at `/docs` shows.
    pub documents: Vec<Document>,
    /// Paths that others serve beside these, as OpenAPI describes them.
    pub more: Vec<(String, serde_json::Value)>,
}

/// Everything over HTTP, with calls going to `calls`; to be merged with the routes of health and metrics.
///
/// # Errors
/// A service is unknown, or an RPC has no usable `google.api.http` annotation.
pub fn router(api: Api, config: &RestConfig, calls: Calls) -> anyhow::Result<Router> {
    let pool = route::pool()?;
    let services = route::services(&pool, &api.services)?;
    let routes = route::routes(&services)?;
    let answers = Answers::default();
    let edge = Edge {
        description: openapi::document(api.title, api.bearer, &services, &routes, api.more)?,
        docs: Docs::new(&api.documents)?,
        web: Web::new(api.services, calls.clone(), answers.clone()),
        cors: Cors::new(&config.cors_origins),
        hosts: Hosts::new(&config.http_hosts),
        rpcs: Arc::new(Rpcs { routes, calls, answers, max_body_bytes: api.max_body_bytes }),
    };
    Ok(edge.router())
}
