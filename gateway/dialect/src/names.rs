//! Names of tools that a backend's dialect refuses, and what the backend calls these tools. `renaming.rs` makes them.

use std::collections::HashMap;

/// The names of one request that its backend knows by other names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames {
    pub(crate) to_backend: HashMap<String, String>,
    pub(crate) to_client: HashMap<String, String>,
}

impl ToolNames {
    /// A name as the backend knows it.
    pub(crate) fn for_backend<'a>(&'a self, name: &'a str) -> &'a str {
        self.to_backend.get(name).map_or(name, String::as_str)
    }

    /// A backend's name as the client knows it.
    pub(crate) fn for_client(&self, name: String) -> String {
        self.to_client.get(&name).cloned().unwrap_or(name)
    }
}

/// The name for a backend, by a mapping that there may be.
pub(crate) fn mapped<'a>(names: Option<&'a ToolNames>, name: &'a str) -> &'a str {
    names.map_or(name, |names| names.for_backend(name))
}
