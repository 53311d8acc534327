//! What fields may hold, as the protos say it (`holdfast.api.v1.rule`).

use prost_reflect::FieldDescriptor;
use proto::api::Rule;

/// The rule of a field; one that says nothing where there is none.
pub(crate) fn of(field: &FieldDescriptor) -> Rule {
    let Some(extension) = field.parent_pool().get_extension_by_name("holdfast.api.v1.rule") else {
        return Rule::default();
    };
    let options = field.options();
    let rule = options.get_extension(&extension);
    rule.as_message().and_then(|rule| rule.transcode_to().ok()).unwrap_or_default()
}
