//! The gRPC services: parse, act, encode. Errors become statuses in `error.rs` alone.

pub mod audit_service;
pub mod booking_service;
pub mod settlement_service;

mod change;
mod create;
mod read;

use proto::reservation::ErrorReason;
use server::{Address, Caller};
use tonic::Request;

use crate::{
    domain::actor::Actor,
    error::{Error, Failure},
};

/// Who makes a call of this RPC, and what they ask.
fn opened<T>(request: Request<T>, method: &'static str) -> Result<(Actor, T), Error> {
    let (_, extensions, message) = request.into_parts();
    let Some(Caller { subject, role, request_id }) = extensions.get::<Caller>() else {
        tracing::error!(method, "a call came in without its caller");
        return Err(Error::Failed(Failure::Defect));
    };
    // Who has no name was not asked for it.
    let is_known = !subject.is_empty();
    let actor = Actor {
        subject: is_known.then(|| subject.clone()),
        role: is_known.then(|| role.as_str()),
        method,
        request_id: request_id.clone(),
        address: Address::among(&extensions).map(|address| address.0),
        only_own: *role == auth::Role::Customer,
    };
    Ok((actor, message))
}

/// Makes a customer's id that of the caller, if they are a customer: empty means theirs, and another's is refused.
fn own(actor: &Actor, customer_id: &mut String) -> Result<(), Error> {
    match actor.customer() {
        Some(own) if customer_id.is_empty() => own.clone_into(customer_id),
        Some(own) if own != customer_id => {
            let reason = api::reason_name(ErrorReason::CustomerMismatch.as_str_name());
            server::count_refusal(reason, "customer_id", actor.method, actor.address.map(Address));
            return Err(Error::ForeignCustomer);
        }
        _ => {}
    }
    Ok(())
}
