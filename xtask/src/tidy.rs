//! Holds the direction of dependencies between the crates, and that every file says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each crate may depend on (ARCHITECTURE.md, code map). Test and example code is free.
const MAY_USE: &[(&str, &[&str])] = &[
    ("kstreams-wire", &[]),
    ("kstreams-client", &["wire"]),
    ("kstreams-broker", &["wire"]),
    ("kstreams-store", &["wire"]),
    ("kstreams-topology", &["store", "wire"]),
    ("kstreams-dsl", &["topology", "store", "wire"]),
    ("kstreams-task", &["topology", "store", "wire"]),
    ("kstreams-assignor", &["topology", "wire"]),
    (
        "kstreams-runtime",
        &["client", "task", "assignor", "topology", "store", "wire"],
    ),
    ("kstreams-test-driver", &["task", "topology", "store", "wire"]),
    ("kstreams-schema-registry", &["topology"]),
    (
        "kstreams",
        &[
            "dsl",
            "runtime",
            "schema-registry",
            "topology",
            "store",
            "client",
            "wire",
        ],
    ),
];

/// Everything that is out of order, one line each.
pub(crate) fn complaints() -> Vec<String> {
    let mut complaints = dependency_complaints();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "examples", "tests", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if !text.starts_with("//!") {
            let name = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
            complaints.push(format!(
                "{name}: does not open with a `//!` sentence that says what it is for"
            ));
        }
    }
    complaints
}

fn dependency_complaints() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs: it started this program");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints its metadata as JSON");
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut complaints = Vec::new();
    for (krate, allowed) in MAY_USE {
        let Some(package) = packages.iter().find(|package| package["name"] == *krate) else {
            complaints.push(format!("{krate}: is in the code map, but not in the workspace"));
            continue;
        };
        let allowed: BTreeSet<String> = allowed.iter().map(|name| format!("kstreams-{name}")).collect();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            let ours = name.starts_with("kstreams");
            if ours && dependency["kind"].is_null() && !allowed.contains(name) {
                complaints.push(format!(
                    "{krate}: must not depend on {name}, see the code map in ARCHITECTURE.md"
                ));
            }
        }
    }
    complaints
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        let complaints = super::complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
