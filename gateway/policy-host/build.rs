//! Compiles the built-in policies for `wasm32-wasip2` and writes a table of them for `src/builtin.rs`.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
/// Packages compiled together share their features: those with `std` must not be compiled with those without.
const TOGETHER: [&[&str]; 2] =
    [&["complexity", "token-cost", "cheapest-healthy", "latency-aware", "budget-guard"], &["script"]];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let policies = root.join("policies");
    for entry in std::fs::read_dir(&policies)? {
        // The output of a build in that folder is not an input.
        let entry = entry?.path();
        if !entry.ends_with("target") {
            println!("cargo::rerun-if-changed={}", entry.display());
        }
    }
    println!("cargo::rustc-env=WASMTIME_VERSION={}", locked_version(&root.join("Cargo.lock"), "wasmtime")?);
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libraries = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if !Path::new(String::from_utf8(libraries.stdout)?.trim()).is_dir() {
        println!("cargo::error=the target {TARGET} is not installed; to install it: rustup target add {TARGET}");
        return Ok(());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Next to the outer build's profiles, so that all profiles share the compiled components. A separate folder,
    // because the outer build holds the lock of its own.
    let target_dir = out.ancestors().nth(4).unwrap_or(&out).join("policies");
    for together in TOGETHER {
        if let Err(errors) = compile(&policies, &target_dir, together)? {
            for line in errors.lines() {
                println!("cargo::error={line}");
            }
            return Ok(());
        }
    }
    let mut table = String::from("&[\n");
    for name in TOGETHER.concat() {
        let file = target_dir.join(TARGET).join("release").join(format!("policy_{}.wasm", name.replace('-', "_")));
        let copy = out.join(format!("{name}.wasm"));
        std::fs::copy(&file, &copy).map_err(|error| format!("{}: {error}", file.display()))?;
        writeln!(table, "({name:?}, include_bytes!({:?})),", copy.display().to_string())?;
    }
    table.push(']');
    std::fs::write(out.join("builtin.rs"), table)?;
    Ok(())
}

/// Compiles policies; the inner error is the compiler's output.
fn compile(policies: &Path, target_dir: &Path, names: &[&str]) -> Result<Result<(), String>, Box<dyn Error>> {
    let mut build = Command::new(env::var("CARGO")?);
    build
        // Cargo then reads the `.cargo/config.toml` of the policies' workspace.
        .current_dir(policies)
        .args(["build", "--release", "--quiet", "--locked", "--target", TARGET, "--target-dir"])
        .arg(target_dir);
    // Variables that the outer build set for its own target would break or slow down this build.
    for (name, _) in env::vars() {
        if name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_NET_OFFLINE"
            || name.contains("RUSTFLAGS")
        {
            build.env_remove(name);
        }
    }
    build.env_remove("RUSTC_WRAPPER").env_remove("RUSTC_WORKSPACE_WRAPPER");
    for name in names {
        build.args(["--package", &format!("policy-{name}")]);
    }
    let output = build.output()?;
    let errors = || String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { Ok(()) } else { Err(errors()) })
}

/// The version of a package in a lock file. The gateway reports the version of its Wasm runtime, which advisories refer
/// to.
fn locked_version(lock: &Path, package: &str) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = std::fs::read_to_string(lock)?;
    let after = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    let version = after.and_then(|rest| rest.split('"').next());
    Ok(version.ok_or("the package is not in Cargo.lock")?.to_owned())
}
