//! Field masks of updates.

use std::fmt::Display;

use prost_types::FieldMask;

use crate::Violation;

/// The paths of an update mask, each once; every one must be among `allowed`, and there must be one at least.
pub fn paths<'a>(
    path: impl Display,
    mask: Option<&FieldMask>,
    allowed: &[&'a str],
) -> Result<Vec<&'a str>, Violation> {
    let named = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let known = |name: &String| allowed.iter().any(|allowed| allowed == name);
    if named.is_empty() || !named.iter().all(known) {
        return Err(Violation::new(path, format!("must name one or more of: {}", allowed.join(", "))));
    }
    Ok(allowed.iter().copied().filter(|allowed| named.iter().any(|name| name == allowed)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Vec<&'static str>, Violation> {
        let mask = FieldMask { paths: names.iter().map(|&name| name.to_owned()).collect() };
        paths("update_mask", Some(&mask), &["sku", "price"])
    }

    #[test]
    fn a_mask_names_fields_that_can_be_changed() {
        assert_eq!(read(&["price"]), Ok(vec!["price"]));
        assert_eq!(read(&["price", "sku", "price"]), Ok(vec!["sku", "price"]));
    }

    #[test]
    fn empty_unknown_and_read_only_paths_are_refused() {
        for names in [&[][..], &["held"], &["price", "nonsense"], &["*"], &["price.minor_units"], &[""]] {
            assert_eq!(read(names).unwrap_err().field(), "update_mask", "{names:?}");
        }
        assert!(paths("update_mask", None, &["sku"]).is_err());
    }
}
