//! The objects of Kubernetes itself, by its own schemas; and that nothing is in an overlay that nobody judges.

use crate::documents::{Documents, OVERLAYS, kubernetes_py, text};

/// The oldest release that has all that is used, and the newest whose schemas are at hand.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// What `kubernetes-validate`, strict, says.
pub(crate) fn judge(documents: &Documents, version: &str) -> Vec<String> {
    let input = serde_json::to_string(&documents.0).expect("JSON");
    let said = kubernetes_py("judge", &input, &[version]);
    serde_json::from_str(&said.output).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn kubernetes_accepts_its_objects_strictly() {
    for overlay in OVERLAYS {
        for version in VERSIONS {
            assert_eq!(judge(&Documents::of(overlay), version), [""; 0], "{overlay}, Kubernetes {version}");
        }
    }
}

#[test]
fn names_are_given_once() {
    for overlay in OVERLAYS {
        let documents = Documents::of(overlay);
        let mut names: Vec<_> = documents
            .0
            .iter()
            .map(|one| (text(&one["apiVersion"]), text(&one["kind"]), text(&one["metadata"]["name"])))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{overlay}");
    }
}
