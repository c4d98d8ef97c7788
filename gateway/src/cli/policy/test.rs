//! `wasmgate policy test`: runs fixtures and shows the differences.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;
use wasmgate_policy_host::fixtures::{Checked, Fixture, Outcome, check};
use wasmgate_policy_host::{Fixtures, Hook, Policy};

use super::target::{Loaded, Subject, fixtures};
use super::{Failed, format};
use crate::cli::table::clean;

/// The conformance suite for the example policy in any language: name and text of each file.
const CONFORMANCE: [(&str, &str); 3] = [
    ("scoring.json", include_str!("../../../../examples/policies/conformance/scoring.json")),
    ("routing.json", include_str!("../../../../examples/policies/conformance/routing.json")),
    ("cost.json", include_str!("../../../../examples/policies/conformance/cost.json")),
];

/// Which fixtures to run.
pub(super) enum Asked {
    /// The published conformance suite.
    Conformance,
    /// These files, or if there are none, the policy's own.
    Files(Vec<PathBuf>),
}

/// See the module.
pub(super) async fn test(subject: &Subject, asked: &Asked, update: bool, json: bool) -> Result<String, Failed> {
    let loaded = subject.read()?;
    let files = match asked {
        Asked::Files(files) => read(subject, files)?,
        Asked::Conformance => {
            let file =
                |(name, text): (&str, &str)| Fixtures { origin: format!("conformance/{name}"), text: text.into() };
            CONFORMANCE.map(file).into()
        }
    };
    // Parsed before anything is compiled, so that a wrong fixture fails immediately.
    let parsed: Vec<Vec<Fixture>> =
        files.iter().map(|file| file.parse().map_err(Failed::Refused)).collect::<Result<_, _>>()?;
    let mut report = Report { text: String::new(), json, asked: 0, unmet: 0, failed: 0 };
    let mut checked: Vec<Vec<Checked>> = files.iter().map(|_| Vec::new()).collect();
    for policy in loaded.policies().await? {
        for ((file, fixtures), checked) in files.iter().zip(&parsed).zip(&mut checked) {
            let of_hook = check(&policy, fixtures).await;
            report.tell(&policy, file, &of_hook);
            checked.extend(of_hook);
        }
    }
    if report.asked == 0 {
        return Err(Failed::Refused(format!("no fixture expects anything of {}", loaded.name)));
    }
    if update {
        report.unmet = report.failed;
        rewrite(&files, &checked, &mut report)?;
    } else if !json && matches!(asked, Asked::Files(_)) {
        report.hint(&loaded);
    }
    if report.unmet == 0 { Ok(report.text) } else { Err(Failed::Unmet(report.text)) }
}

fn read(subject: &Subject, files: &[PathBuf]) -> Result<Vec<Fixtures>, Failed> {
    if !files.is_empty() {
        return files.iter().map(|file| fixtures(file)).collect();
    }
    let own = subject.own_fixtures();
    if !own.exists() {
        let message = format!("{} does not exist: write it, or name other files of fixtures", own.display());
        return Err(Failed::Refused(message));
    }
    Ok(vec![fixtures(&own)?])
}

/// Updates the files with the actual decisions. All texts are made before the first file is written.
fn rewrite(files: &[Fixtures], checked: &[Vec<Checked>], report: &mut Report) -> Result<(), Failed> {
    let mut texts = Vec::new();
    for (file, checked) in files.iter().zip(checked) {
        let changed = checked.iter().filter(|checked| matches!(checked.outcome, Outcome::Unmet(_))).count();
        if changed > 0 {
            texts.push((file, changed, file.updated(checked).map_err(Failed::Refused)?));
        }
    }
    for (file, changed, text) in texts {
        replace(Path::new(&file.origin), &text)
            .map_err(|error| Failed::Machine(format!("{}: cannot be written: {error}", file.origin)))?;
        let _ = writeln!(report.text, "{}: {changed} updated", file.origin);
    }
    Ok(())
}

/// Replaces a file atomically, so that no reader sees a partial text. Of a symbolic link, the target changes. The file
/// keeps its mode.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions();
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written =
        fs::write(&new, text).and_then(|()| fs::set_permissions(&new, mode)).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

struct Report {
    text: String,
    json: bool,
    /// Fixtures that were run.
    asked: usize,
    /// Fixtures that were not met, or failed.
    unmet: usize,
    /// Fixtures that failed.
    failed: usize,
}

impl Report {
    fn tell(&mut self, policy: &Policy, file: &Fixtures, checked: &[Checked]) {
        let count = |is: fn(&Outcome) -> bool| checked.iter().filter(|checked| is(&checked.outcome)).count();
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped));
        let met = count(|outcome| matches!(outcome, Outcome::Met));
        self.unmet += checked.len() - met - skipped;
        self.failed += count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let asked = checked.len() - skipped;
        self.asked += asked;
        if asked == 0 {
            return;
        }
        // Writing to a String cannot fail.
        if self.json {
            for checked in checked {
                let _ = writeln!(self.text, "{}", line(policy.hook(), file, checked));
            }
            return;
        }
        let manifest = policy.manifest();
        let took = format::time(checked.iter().map(|checked| checked.took).sum());
        let (hook, name, version) = (policy.hook().as_str(), &manifest.name, &manifest.version);
        let _ = writeln!(
            self.text,
            "{name}@{version} {hook}, {}: {met} of {asked} fixtures as expected, {took}",
            file.origin
        );
        for checked in checked.iter().filter(|checked| !checked.passed()) {
            let _ = writeln!(self.text, "  {}", checked.fixture);
            match &checked.outcome {
                Outcome::Unmet(differences) => {
                    for difference in differences {
                        let _ = writeln!(self.text, "    {}", difference.field);
                        let _ = writeln!(self.text, "      - {}", difference.expected);
                        let _ = writeln!(self.text, "      + {}", difference.found);
                    }
                }
                Outcome::Failed(failure) => {
                    let _ = writeln!(self.text, "    failed: {}", clean(&failure.to_string()));
                }
                Outcome::Met | Outcome::Skipped => {}
            }
        }
    }

    /// Adds the next step.
    fn hint(&mut self, loaded: &Loaded) {
        if self.unmet > self.failed {
            let name = &loaded.name;
            let _ = writeln!(
                self.text,
                "\n- is the expected decision, + the decision of {name}. --update writes that into the file."
            );
        }
    }
}

fn line(hook: Hook, file: &Fixtures, checked: &Checked) -> serde_json::Value {
    let (outcome, differences) = match &checked.outcome {
        Outcome::Met => ("met", Vec::new()),
        Outcome::Skipped => ("skipped", Vec::new()),
        Outcome::Unmet(differences) => ("unmet", differences.iter().map(ToString::to_string).collect()),
        Outcome::Failed(failure) => ("failed", vec![failure.to_string()]),
    };
    json!({
        "file": file.origin,
        "fixture": checked.fixture,
        "hook": hook.as_str(),
        "outcome": outcome,
        "differences": differences,
        "decided": checked.decided,
        "microseconds": u64::try_from(checked.took.as_micros()).unwrap_or(u64::MAX),
    })
}
