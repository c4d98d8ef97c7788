//! The decision log: of each routed request what the policies were asked, what they answered, and what came of it.
//!
//! A line is a JSON object that `jq`, DuckDB and ClickHouse read as it is. Lines lie in segments, files that are readable alone:
//! `decisions-TIME.jsonl` has decisions and the tables of models that they refer to; `feedback-TIME.jsonl` has what clients say of
//! answers; `content-TIME.jsonl` has texts of prompts, if the operator keeps them, so that deleting texts deletes no evidence. A
//! closed segment is compressed with zstd.
//!
//! A decision holds the exact input of the policies except for the texts, so that any policy that reads no text can be asked the
//! same again (`Decision::input`).
//!
//! One thread writes; requests never wait for it. What was handed to the kernel survives the end of the process, also by
//! `kill -9`. A line counts only if it is complete: it ends with a line break and is a whole JSON object.
//!
//! This crate must not know: HTTP, the configuration file, how a model is called.

mod archive;
mod content;
mod input;
mod lookup;
mod models;
mod read;
mod record;
mod redact;
pub mod replay;
mod segment;
mod time;
mod write;

pub use content::{Content, ContentMessage, Keep};
pub use input::{Input, Unreadable, can_ask};
pub use lookup::{Cursor, Page, find, find_content, find_feedback, page};
pub use models::{ModelRow, ModelTable, RowPrice};
pub use read::{Report, Segment, read, read_contents, read_feedback, segments};
pub use record::{
    Asked, Attempt, Budget, Call, Candidate, CostBasis, Decision, Estimate, Exploration, Feedback, Outcome, Pair,
    Request, SCHEMA, Verdict, VerdictKind,
};
pub use redact::redact;
pub use time::Moment;
pub use write::{Lines, Log, Options, Retention, Status};
