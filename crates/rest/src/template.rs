//! Templates of paths: `/v1/products/{product_id}:adjustStock`. A part of `google.api.http`'s: a variable is one segment.

use anyhow::ensure;

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// The path of a field: `product.product_id`.
    Variable(String),
}

impl Template {
    /// Reads one as a proto has it.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (path, verb) = match text.rsplit_once(':') {
            Some((path, verb)) => (path, Some(verb.to_owned())),
            None => (text, None),
        };
        let segments: Vec<_> = path.split('/').skip(1).map(Segment::parse).collect();
        let empty = |segment: &Segment| matches!(segment, Segment::Literal(text) | Segment::Variable(text) if text.is_empty());
        ensure!(path.starts_with('/') && !segments.iter().any(empty), "not a template of a path: {text}");
        Ok(Self { segments, verb })
    }

    /// The values of the variables in their order, still encoded, if the path is one of these.
    pub(crate) fn matched<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let mut values = Vec::new();
        let mut given = path.strip_prefix('/')?.split('/');
        for segment in &self.segments {
            let given = given.next()?;
            match segment {
                Segment::Literal(text) if text == given => {}
                // What follows a colon is a verb.
                Segment::Variable(_) if !given.is_empty() && !given.contains(':') => values.push(given),
                _ => return None,
            }
        }
        given.next().is_none().then_some(values)
    }

    /// The paths of the fields that are variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(field) => Some(field.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The template as OpenAPI has it, with other names for the variables.
    pub(crate) fn renamed(&self, name: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Variable(field) => text.extend(["{", &name(field), "}"]),
            }
        }
        if let Some(verb) = &self.verb {
            text.extend([":", verb]);
        }
        text
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(field) => Self::Variable(field.to_owned()),
            None => Self::Literal(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
        Template::parse(template).unwrap().matched(path)
    }

    #[test]
    fn a_path_gives_the_variables_their_values() {
        assert_eq!(matched("/v1/bookings", "/v1/bookings"), Some(vec![]));
        assert_eq!(matched("/v1/bookings/{booking_id}", "/v1/bookings/7"), Some(vec!["7"]));
        assert_eq!(matched("/v1/bookings/{booking_id}:pay", "/v1/bookings/7:pay"), Some(vec!["7"]));
        assert_eq!(matched("/v1/maps/{id}/seats:update", "/v1/maps/7/seats:update"), Some(vec!["7"]));
        assert_eq!(matched("/v1/bookings/{id}/history", "/v1/bookings/a%2Fb/history"), Some(vec!["a%2Fb"]));
    }

    #[test]
    fn other_paths_do_not_match() {
        for path in
            ["/v1/bookings", "/v1/bookings/", "/v1/bookings/7/", "/v1/bookings/7:pay", "v1/bookings/7", ""]
        {
            assert_eq!(matched("/v1/bookings/{id}", path), None, "{path}");
        }
        for path in ["/v1/bookings/7", "/v1/bookings/:pay", "/v1/bookings/7:refund", "/v1/bookings/7:a:pay"] {
            assert_eq!(matched("/v1/bookings/{id}:pay", path), None, "{path}");
        }
    }

    #[test]
    fn variables_are_named_as_wished() {
        let template = Template::parse("/v1/products/{product.product_id}:adjustStock").unwrap();
        assert_eq!(template.variables().collect::<Vec<_>>(), ["product.product_id"]);
        assert_eq!(template.renamed(|_| "productId".to_owned()), "/v1/products/{productId}:adjustStock");
        assert!(Template::parse("v1/products").is_err() && Template::parse("/v1//{id}").is_err());
    }
}
