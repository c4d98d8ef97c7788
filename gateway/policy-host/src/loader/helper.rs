//! Compiles in a separate process: `wasmgate compile-component`, the gateway's own program, reads a component from its
//! standard input and writes machine code to its standard output. Traffic does not notice: the process runs at the
//! lowest priority, on one thread, and its memory returns to the machine when it ends. A component that costs the
//! compiler hours or gigabytes, or crashes it, only harms this process.
//!
//! This module must not know: caches, how the code is used.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::artefact::Artefact;
use crate::admission::MAX_COMPONENT_BYTES;
use crate::{background, engine};

/// Wall-clock limit for compiling one component. It is generous: a busy machine may give a process of the lowest
/// priority a hundredth of its time, and only the operator who brought the component waits.
const COMPILE_TIME: Duration = Duration::from_secs(600);
/// Processor-time limit for compiling one component. A JavaScript engine of 12 MB takes a sixth of it in a release build,
/// and up to half of it in the build of `make run`, whose compiler is optimised less.
const COMPILE_PROCESSOR_TIME: Duration = Duration::from_secs(60);
/// Limit of the process's address space, in bytes. The same 12 MB take 250 MB of memory.
const MAX_ADDRESSES: u64 = 4 << 30;
/// Maximum bytes read of the machine code, and of the message about a failure.
const MAX_ARTEFACT_BYTES: u64 = 512 << 20;
const MAX_WORDS_BYTES: u64 = 4 << 10;

/// Why the process returned no artefact.
#[derive(Debug)]
pub(super) enum Fault {
    /// The process did not start: this machine or container does not allow it.
    NotStarted(io::Error),
    /// The compiler refused the component, or reached a limit: a sentence.
    Refused(String),
}

/// Compiles in a process. Dropping the future kills the process.
pub(super) async fn compile(program: &Path, pooling: bool, wasm: &[u8]) -> Result<Artefact, Fault> {
    let mut command = Command::new(program);
    command.arg("compile-component").args(pooling.then_some("--pooling"));
    // The process needs no environment and no folder: it only uses its pipes.
    command.env_clear().current_dir("/");
    run(command, wasm, COMPILE_TIME).await.map(Artefact::returned)
}

/// Runs a command on `input` and returns its output, within `time`.
async fn run(mut command: Command, input: &[u8], time: Duration) -> Result<Vec<u8>, Fault> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(Fault::NotStarted)?;
    let pipe = || Fault::Refused("a pipe to the compiler is missing".into());
    let mut stdin = child.stdin.take().ok_or_else(pipe)?;
    let stdout = child.stdout.take().ok_or_else(pipe)?;
    let stderr = child.stderr.take().ok_or_else(pipe)?;
    let (mut output, mut words) = (Vec::new(), Vec::new());
    let talk = async {
        let write = async {
            // A process that ended early reports the reason by other means.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let (mut stdout, mut stderr) = (stdout.take(MAX_ARTEFACT_BYTES + 1), stderr.take(MAX_WORDS_BYTES));
        let ((), read, heard) = tokio::join!(write, stdout.read_to_end(&mut output), stderr.read_to_end(&mut words));
        read.and(heard)?;
        child.wait().await
    };
    let status = match tokio::time::timeout(time, talk).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(Fault::Refused(format!("cannot read the compiler's output: {error}"))),
        Err(_elapsed) => {
            // Killed here and not on drop, so that it is gone before the next one starts.
            let _ = child.kill().await;
            return Err(Fault::Refused(format!("compiling it took more than {} s, the limit", time.as_secs_f64())));
        }
    };
    if !status.success() {
        return Err(Fault::Refused(in_words(status, &words)));
    }
    if output.len() as u64 > MAX_ARTEFACT_BYTES {
        let what = format!("its machine code has more than {MAX_ARTEFACT_BYTES} bytes, the limit");
        return Err(Fault::Refused(what));
    }
    Ok(output)
}

fn in_words(status: ExitStatus, words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return format!(
            "compiling it took more than {} s of processor time, the limit",
            COMPILE_PROCESSOR_TIME.as_secs()
        );
    }
    match (status.code(), words.trim()) {
        // `main` exits with 1 if the compiler refuses the component.
        (Some(1), words) if !words.is_empty() => words.to_owned(),
        (_, "") => format!("the compiler ended with {status}"),
        (_, words) => format!("the compiler ended with {status}: {words}"),
    }
}

/// The process's side: reads a component, compiles it for an engine with or without a pool, and writes the code.
///
/// # Errors
/// If the component cannot be compiled, or the pipes are gone: a sentence for the parent.
pub fn compile_component(pooling: bool) -> Result<(), String> {
    background::step_back();
    // A killed parent cannot kill this process, so the process limits its own time too. A core dump of a stopped
    // compiler would fill a disk and show nothing. If the machine refuses a limit, compiling without it is the lesser
    // evil.
    bound(Resource::As, MAX_ADDRESSES);
    bound(Resource::Cpu, COMPILE_PROCESSOR_TIME.as_secs());
    bound(Resource::Core, 0);
    let mut wasm = Vec::new();
    let read = io::stdin().lock().take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut wasm);
    read.map_err(|error| format!("the component cannot be read: {error}"))?;
    let engine = engine::for_compiling(pooling).map_err(|error| format!("the compiler: {error:#}"))?;
    let artefact = Artefact::compile(&engine, &wasm)?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(artefact.bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("the machine code cannot be written: {error}"))
}

fn bound(resource: Resource, most: u64) {
    // Only the soft limit changes. Above the hard limit the kernel kills a process silently; above the soft limit it
    // sends a signal, which tells why the process ended.
    let Rlimit { current, maximum } = getrlimit(resource);
    let current = Some(current.map_or(most, |current| current.min(most)));
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str, input: &[u8], time: Duration) -> Result<Vec<u8>, Fault> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, input, time).await
    }

    fn refused(outcome: Result<Vec<u8>, Fault>) -> String {
        match outcome {
            Err(Fault::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_the_process_puts_out_is_the_answer() {
        let input = vec![7; 3 << 20];
        assert_eq!(shell("cat", &input, LONG).await.unwrap(), input);
        assert_eq!(shell("printf code", &input, LONG).await.unwrap(), b"code", "also where it reads nothing");
    }

    #[tokio::test]
    async fn a_compile_that_takes_too_long_is_killed() {
        let began = Instant::now();
        let reason = refused(shell("exec sleep 100", b"", Duration::from_millis(50)).await);
        assert_eq!(reason, "compiling it took more than 0.05 s, the limit");
        assert!(began.elapsed() < LONG);
    }

    #[tokio::test]
    async fn a_compile_that_nobody_waits_for_is_killed() {
        let folder = tempfile::TempDir::new().unwrap();
        let script = format!("echo $$ > {}/pid; exec sleep 100", folder.path().display());
        let mut compile = Box::pin(shell(&script, b"", LONG));
        let pid = loop {
            let waited = tokio::time::timeout(Duration::from_millis(10), &mut compile).await;
            assert!(waited.is_err(), "{waited:?}");
            let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
            if pid.ends_with('\n') {
                break pid.trim().to_owned();
            }
        };
        drop(compile);
        // Gone, or dead and not yet collected.
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        let began = Instant::now();
        while alive() {
            assert!(began.elapsed() < LONG, "process {pid} lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_process_that_fails_says_why() {
        let reason = refused(shell("echo 'no such thing' >&2; exit 1", b"x", LONG).await);
        assert_eq!(reason, "no such thing");
        let reason = refused(shell("echo half; kill -KILL $$", b"x", LONG).await);
        assert_eq!(reason, "the compiler ended with signal: 9 (SIGKILL)");
        let reason = refused(shell("kill -XCPU $$", b"x", LONG).await);
        assert_eq!(reason, "compiling it took more than 60 s of processor time, the limit");
        let reason = refused(shell("echo panicked >&2; exit 101", b"x", LONG).await);
        assert_eq!(reason, "the compiler ended with exit status: 101: panicked");
        let missing = run(Command::new("/nowhere/wasmgate"), b"x", LONG).await;
        assert!(matches!(missing, Err(Fault::NotStarted(_))), "{missing:?}");
    }
}
