//! Generates the table of templates that `wasmgate policy new` embeds.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let policies = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../policies");
    for folder in ["templates", "bindings", "sdk"] {
        println!("cargo::rerun-if-changed={}", policies.join(folder).display());
    }
    write_templates(&policies, &PathBuf::from(env::var("OUT_DIR")?).join("templates.rs"))
}

/// Writes a table of the template, binding and SDK files: path and text.
fn write_templates(policies: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut table = String::from("&[\n");
    for (folder, prefix) in [("templates", ""), ("bindings", "bindings/"), ("sdk/src", "sdk/src/")] {
        let root = policies.join(folder).canonicalize()?;
        let mut files = Vec::new();
        walk(&root, &mut files)?;
        files.sort();
        for file in files {
            let path = format!("{prefix}{}", file.strip_prefix(&root)?.display());
            writeln!(table, "({path:?}, include_str!({:?})),", file.display().to_string())?;
        }
    }
    let manifest = policies.join("sdk/Cargo.toml").canonicalize()?;
    writeln!(table, "(\"sdk/Cargo.toml\", include_str!({:?})),\n]", manifest.display().to_string())?;
    Ok(std::fs::write(to, table)?)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
