//! The comments of the protos.

use std::collections::HashMap;

use prost_reflect::ServiceDescriptor;

/// The comments, by file and by the path of what they are about.
#[derive(Debug)]
pub(crate) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    /// Those of everything that these services may use.
    pub(crate) fn of(services: &[ServiceDescriptor]) -> Self {
        let mut comments = HashMap::new();
        let files = services.iter().flat_map(|service| service.parent_pool().files());
        for file in files {
            let Some(info) = &file.file_descriptor_proto().source_code_info else { continue };
            for location in &info.location {
                if let Some(text) = &location.leading_comments {
                    comments.insert((file.name().to_owned(), location.path.clone()), flow(text));
                }
            }
        }
        Self(comments)
    }

    /// The comment on what is at this path of a file; empty where there is none.
    pub(crate) fn text(&self, file: &str, path: &[i32]) -> String {
        self.0.get(&(file.to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }
}

/// Lines that belong together on one line, paragraphs apart.
fn flow(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The first sentence.
pub(crate) fn summary(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let end = line.find(". ").or_else(|| line.find(": ")).unwrap_or(line.len());
    line[..end].trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_flow_and_begin_with_a_summary() {
        let text = flow(" Creates a product. The same\n id returns it.\n \n\n Or not.\n");
        assert_eq!(text, "Creates a product. The same id returns it.\n\nOr not.");
        assert_eq!(summary(&text), "Creates a product");
        assert_eq!(summary("Lists seats."), "Lists seats");
    }
}
