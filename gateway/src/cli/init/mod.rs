//! `wasmgate init`: writes a configuration for what it finds on this machine. Models of Ollama become tiers by their size. An
//! API key in the environment becomes a commented backend, whose models the operator names. Without models of Ollama, the file
//! has simulated ones.
//!
//! Exit codes: 0 written; 1 the file cannot be written; 2 it exists already, or the result would be refused.

mod find;
mod write;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wasmgate::config::{Examined, Problem};

/// See the module.
#[derive(Args)]
pub(crate) struct Init {
    /// The file to write.
    #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE", default_value = "wasmgate.toml")]
    config: PathBuf,
    /// Overwrite a file that exists.
    #[arg(long)]
    force: bool,
}

/// Looks, writes, and says what to do next.
pub(crate) fn run(init: &Init) -> ExitCode {
    let (file, refused) = (init.config.display(), |message: String, code| {
        eprintln!("wasmgate: {message}");
        ExitCode::from(code)
    });
    if init.config.exists() && !init.force {
        return refused(
            format!("{file} exists already; name another file with --config, or overwrite it with --force"),
            2,
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = match runtime {
        Ok(runtime) => runtime.block_on(find::look()),
        Err(error) => return refused(format!("the async runtime: {error}"), 1),
    };
    let text = write::configuration(&found);
    let Examined { problems, .. } = Examined::content(text.as_bytes(), &init.config);
    if problems.iter().any(Problem::is_error) {
        problems.iter().for_each(|problem| eprintln!("wasmgate: {problem}"));
        return refused(format!("{file} was not written, because a gateway would refuse it"), 2);
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !init.force {
        options.create_new(true);
    }
    let written: io::Result<()> = options.open(&init.config).and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        return refused(format!("{file} cannot be written: {error}"), 1);
    }
    print!("{}", write::summary(&found));
    println!("wrote {file}");
    println!("next: wasmgate check --config {file} && wasmgate serve --config {file}");
    ExitCode::SUCCESS
}
