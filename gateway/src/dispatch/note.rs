//! What a record keeps of a stream's deltas: when the first token came, how much there was, the usage.

use std::time::Instant;

use crate::telemetry::Record;
use wasmgate_dialect::chat::Delta;

/// Notes on the record what it needs of a delta.
pub(super) fn note(record: &mut Record, delta: &Delta) {
    let text: &str = match delta {
        Delta::Text(text) | Delta::Reasoning(text) => text,
        Delta::ToolCallArguments { fragment, .. } => fragment,
        Delta::ToolCallStart { name, .. } => name,
        Delta::Usage { usage, is_final } => {
            record.note_usage(Some(*usage), *is_final);
            return;
        }
        // Its bytes say nothing of tokens.
        Delta::Other(_) => "",
        Delta::Start { .. } | Delta::Finish(_) | Delta::End | Delta::Failed(_) => return,
    };
    if !text.is_empty() || matches!(delta, Delta::Other(_)) {
        record.first_token.get_or_insert_with(Instant::now);
        record.output_pieces += 1;
        record.output_bytes += text.len() as u64;
    }
}
