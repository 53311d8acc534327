//! Objects of Kubernetes as `kubectl kustomize` renders them, and ways through them.

use std::{env, fs, path::PathBuf, sync::LazyLock};

use serde_json::Value;
use system_tests::{Said, program};
use uuid::Uuid;

/// The overlays that there are.
pub(crate) const OVERLAYS: [&str; 3] = ["dev", "managed", "production"];

/// All objects of an overlay.
#[derive(Clone, Debug)]
pub(crate) struct Documents(pub(crate) Vec<Value>);

/// Something that makes pods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// The object that makes them.
    pub(crate) object: &'a Value,
    /// The template of its pods.
    pub(crate) template: &'a Value,
}

impl<'a> Workload<'a> {
    pub(crate) fn pod(&self) -> &'a Value {
        &self.template["spec"]
    }

    pub(crate) fn labels(&self) -> &'a Value {
        &self.template["metadata"]["labels"]
    }

    /// All containers, also those that run first.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let pod = self.pod();
        list(&pod["containers"]).iter().chain(list(&pod["initContainers"]))
    }

    /// What complaints call it.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

impl Documents {
    /// What kubectl renders, once.
    pub(crate) fn of(overlay: &str) -> Self {
        static RENDERED: LazyLock<Vec<Documents>> = LazyLock::new(|| OVERLAYS.map(Documents::render).into());
        let found = OVERLAYS.iter().position(|known| *known == overlay);
        RENDERED[found.expect("there is such an overlay")].clone()
    }

    fn render(overlay: &str) -> Self {
        let folder = file(&format!("deploy/kubernetes/overlays/{overlay}"));
        let said = program("kubectl", &["kustomize", folder.to_str().expect("a path in UTF-8")]);
        assert!(said.success && said.errors.is_empty(), "kubectl has something to say: {said:?}");
        Self(read_yaml(&said.output))
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |document| document["kind"] == kind)
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|document| document["metadata"]["name"] == name)
    }

    /// The same, to be altered. Fails the test if it is not there.
    pub(crate) fn alter(&mut self, kind: &str, name: &str) -> &mut Value {
        let mut all = self.0.iter_mut();
        all.find(|document| document["kind"] == kind && document["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    pub(crate) fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.0.iter().filter_map(|object| {
            let kind = text(&object["kind"]);
            let template = match kind {
                "Deployment" | "Job" => &object["spec"]["template"],
                "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"],
                _ => return None,
            };
            Some(Workload { kind, name: name(object), object, template })
        })
    }

    /// The long-running ones.
    pub(crate) fn deployments(&self) -> impl Iterator<Item = Workload<'_>> {
        self.workloads().filter(|workload| workload.kind == "Deployment")
    }
}

/// A file of the repository.
pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// The elements of an array; none where there is none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn name(document: &Value) -> &str {
    text(&document["metadata"]["name"])
}

/// The documents of a YAML text.
pub(crate) fn read_yaml(yaml: &str) -> Vec<Value> {
    let said = kubernetes_py("read", yaml, &[]);
    serde_json::from_str(&said.output).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Runs the script that knows YAML and the schemas of Kubernetes on a text.
pub(crate) fn kubernetes_py(what: &str, input: &str, arguments: &[&str]) -> Said {
    let path = env::temp_dir().join(format!("holdfast-{}.yaml", Uuid::new_v4()));
    fs::write(&path, input).expect("a file can be written");
    let script = file("tests/clients/kubernetes.py");
    let mut all =
        vec![script.to_str().expect("a path in UTF-8"), what, path.to_str().expect("a path in UTF-8")];
    all.extend(arguments);
    let said = program("python", &all);
    fs::remove_file(&path).expect("the file can be removed");
    assert!(said.success, "{said:?}");
    said
}
