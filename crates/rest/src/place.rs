//! Where in a request something stands, for people: `lines[0].product.quantity`.

use std::fmt;

/// A place; made on the way down, written only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// The request itself.
    Top,
    /// A field of an object.
    Field(&'a Place<'a>, &'a str),
    /// A member of a list.
    Member(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn member(&'a self, index: usize) -> Self {
        Self::Member(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("body"),
            Self::Field(Self::Top, name) => f.write_str(name),
            Self::Field(place, name) => write!(f, "{place}.{name}"),
            Self::Member(place, index) => write!(f, "{place}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_the_path_to_it() {
        let lines = Place::Top.field("lines");
        let line = lines.member(3);
        assert_eq!(line.field("product").to_string(), "lines[3].product");
        assert_eq!(Place::Top.to_string(), "body");
    }
}
