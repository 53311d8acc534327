//! The HTTP requests that stand for RPCs: read from the `google.api.http` annotations of the services.

use anyhow::{Context as _, bail, ensure};
use http::{Method, uri::PathAndQuery};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};

use crate::template::Template;

/// One RPC over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The HTTP method.
    pub(crate) method: Method,
    /// Its paths.
    pub(crate) template: Template,
    /// For each variable of the path the way to its field.
    pub(crate) variables: Vec<Vec<FieldDescriptor>>,
    /// What its body holds.
    pub(crate) body: Content,
    /// The field of the response that is answered; none: all of it.
    pub(crate) answer: Option<FieldDescriptor>,
    /// The RPC.
    pub(crate) rpc: MethodDescriptor,
    /// Where gRPC calls it.
    pub(crate) call: PathAndQuery,
}

/// What the body of a request holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Nothing: there is none.
    Nothing,
    /// The request message, without what the path says.
    Message,
    /// One field of it.
    Field(FieldDescriptor),
}

/// The API as it is compiled in.
pub(crate) fn pool() -> anyhow::Result<DescriptorPool> {
    DescriptorPool::decode(proto::DESCRIPTORS).context("read the descriptors")
}

/// The services of these full names.
pub(crate) fn services(pool: &DescriptorPool, names: &[&str]) -> anyhow::Result<Vec<ServiceDescriptor>> {
    let find =
        |name: &&str| pool.get_service_by_name(name).with_context(|| format!("there is no service {name}"));
    names.iter().map(find).collect()
}

/// A route for each of their RPCs.
pub(crate) fn routes(services: &[ServiceDescriptor]) -> anyhow::Result<Vec<Route>> {
    let rpcs = services.iter().flat_map(ServiceDescriptor::methods);
    rpcs.map(|rpc| Route::of(&rpc).with_context(|| format!("{} over HTTP", rpc.full_name()))).collect()
}

impl Route {
    fn of(rpc: &MethodDescriptor) -> anyhow::Result<Self> {
        let annotation = rpc.parent_pool().get_extension_by_name("google.api.http");
        let annotation = annotation.context("the descriptors lack google.api.http")?;
        let options = rpc.options();
        ensure!(options.has_extension(&annotation), "it has no google.api.http");
        let rule = options.get_extension(&annotation);
        let rule = rule.as_message().context("google.api.http is no message")?;
        let (method, path) = pattern(rule).context("it has no method and path")?;
        let template = Template::parse(&path)?;
        let input = rpc.input();
        let variables = template.variables().map(|path| way(&input, path)).collect::<Result<_, _>>()?;
        let body = match text(rule, "body").as_str() {
            "" => Content::Nothing,
            "*" => Content::Message,
            name => Content::Field(message_field(&input, name)?),
        };
        let answer = match text(rule, "response_body").as_str() {
            "" => None,
            name => Some(message_field(&rpc.output(), name)?),
        };
        let call = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name()).parse()?;
        Ok(Self { method, template, variables, body, answer, rpc: rpc.clone(), call })
    }

    /// Whether a field of the request message stands in the path.
    pub(crate) fn is_in_path(&self, field: &FieldDescriptor) -> bool {
        self.variables.iter().any(|way| way.len() == 1 && way[0] == *field)
    }

    /// The fields of the request message that are parameters of the query.
    pub(crate) fn parameters(&self) -> Vec<FieldDescriptor> {
        let is_parameter = |field: &FieldDescriptor| match &self.body {
            Content::Nothing => !self.is_in_path(field),
            Content::Message => false,
            Content::Field(body) => field != body && !self.is_in_path(field),
        };
        self.rpc.input().fields().filter(is_parameter).collect()
    }
}

/// The method and the template of the path.
fn pattern(rule: &DynamicMessage) -> Option<(Method, String)> {
    let methods = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ];
    let (name, method) = methods.into_iter().find(|(name, _)| rule.has_field_by_name(name))?;
    Some((method, text(rule, name)))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// The fields that a path like `product.product_id` goes through; the last one is a text.
fn way(message: &MessageDescriptor, path: &str) -> anyhow::Result<Vec<FieldDescriptor>> {
    let mut way: Vec<FieldDescriptor> = Vec::new();
    for name in path.split('.') {
        let within = match way.last().map(FieldDescriptor::kind) {
            None => message.clone(),
            Some(Kind::Message(message)) => message,
            Some(_) => bail!("{path} goes through a field that is no message"),
        };
        let field = within.get_field_by_name(name);
        way.push(field.with_context(|| format!("{} has no field {name}", within.full_name()))?);
    }
    ensure!(
        way.last().is_some_and(|field| field.kind() == Kind::String && !field.is_list()),
        "{path} is no text"
    );
    Ok(way)
}

fn message_field(message: &MessageDescriptor, name: &str) -> anyhow::Result<FieldDescriptor> {
    let field = message.get_field_by_name(name);
    let field = field.with_context(|| format!("{} has no field {name}", message.full_name()))?;
    ensure!(field.kind().as_message().is_some() && !field.is_list(), "{name} is no message");
    Ok(field)
}
