//! Asks a policy about one request of a decision log, as `wasmgate policy replay` asks about all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use wasmgate_decisions::replay::Answer;
use wasmgate_decisions::{Content, Decision, ModelTable};

use super::replay::Asked;
use super::replayed::Version;
use super::target::Subject;
use super::{Failed, start_log};

/// What a policy answered now.
pub(crate) struct Again {
    /// Its `name@version`.
    pub(crate) label: String,
    /// SHA-256 of its component, in hex.
    pub(crate) digest: String,
    /// Its answer.
    pub(crate) answer: Answer,
}

/// Asks the policy at a path, or a built-in one of that name. `settings`: a file with its settings.
///
/// # Errors
/// Why it was not asked, and whether the user can fix it.
pub(crate) fn ask(
    (policy, settings): (&Path, Option<&Path>),
    decision: &Decision,
    table: &Arc<ModelTable>,
    content: Option<&Content>,
) -> Result<Again, (String, bool)> {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (format!("the async runtime: {error}"), false))?;
    runtime.block_on(async {
        let loaded = Subject::of(policy, settings).read().map_err(told)?;
        let tables = BTreeMap::from([(table.id().to_owned(), Arc::clone(table))]);
        let asked = Asked::load(&loaded, &tables).await.map_err(told)?;
        let not_asked = |reason| (not_asked(reason, policy), true);
        let input = decision.input(table, content).map_err(|_| not_asked(super::replayed::UNREADABLE))?;
        let answer = super::quietly(asked.answer(decision, table, content, &input)).await.map_err(not_asked)?;
        let Version { label, digest, .. } = asked.version();
        Ok(Again { label, digest, answer })
    })
}

fn told(failed: Failed) -> (String, bool) {
    match failed {
        Failed::Refused(message) | Failed::Unmet(message) | Failed::Told(message) => (message, true),
        Failed::Machine(message) => (message, false),
    }
}

fn not_asked(reason: &str, policy: &Path) -> String {
    let policy = policy.display();
    match reason {
        super::replayed::UNREADABLE => {
            format!("{policy} was not asked: the log has a line that this version cannot rebuild")
        }
        _ => format!(
            "{policy} was not asked: it reads text, and the whole text of this request was not kept (`decisions.content = \"full\"` \
             keeps it)"
        ),
    }
}
