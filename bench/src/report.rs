//! The report, in Markdown.

use std::collections::BTreeMap;

use crate::machine;
use crate::run::{CALM, Run};
use crate::stats::digits;
use crate::targets;

const METHOD: &str = "\
The gateway is the release build with the policies `complexity` and `token-cost` deciding each request, `model` being \
`auto`, three models at one backend; requests are not logged. The reference is a bare proxy of the same HTTP and JSON \
libraries and the same runtime. Both have one core, the simulated model and the load the other. Of each answer the \
status, the text and all events are checked: a wrong one ends the run. CPU is the time that all threads of the process \
ran.";

/// All of it.
pub(crate) fn text(run: &Run, figures: &BTreeMap<String, f64>, sections: &[String]) -> Result<String, String> {
    let mut text = String::from("# What the gateway costs\n\n");
    for line in machine::lines()? {
        text += &format!("- {line}\n");
    }
    let (rounds, seconds) = (run.rounds, run.time.as_secs_f64());
    text += &format!(
        "- Rounds: {rounds}, of {seconds} s a cell; told is the median, and in parentheses the least and the most\n"
    );
    let (answers, undecided) = (digits(run.answers.get() as f64), digits(run.undecided.get() as f64));
    text += &format!("- {answers} answers counted; {undecided} decided by the default, a policy having failed\n");
    if run.others.get() > CALM {
        let others = digits(run.others.get());
        text += &format!("- **Other processes had up to {others} of a core: this run tells little of the gateway**\n");
    }
    text += &format!("\n{METHOD}\n\n{}", targets::table(figures));
    for section in sections {
        text += &format!("\n{section}");
    }
    Ok(text)
}
