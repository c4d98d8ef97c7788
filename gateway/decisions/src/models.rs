//! The table of models that decisions refer to. Each segment holds every table that its decisions name.

use serde::{Deserialize, Serialize};

use wasmgate_base::digest::sha256;
use wasmgate_policy_host::{Capabilities, Location, Model, Models, Price};

/// Digits of a table's id.
const ID_DIGITS: usize = 16;

/// The configured models, in the configuration's order.
#[derive(Debug, Clone)]
pub struct ModelTable {
    /// Follows from the models: equal tables have equal ids.
    id: String,
    rows: Vec<ModelRow>,
    /// The same as policies know them; shared by all decisions, so that policies get them once.
    models: Models,
}

/// A configured model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// The name of its backend.
    pub backend: String,
    /// `local` or `cloud`.
    pub location: String,
    /// `null` if unpriced.
    pub price: Option<RowPrice>,
    /// Maximum tokens of input and output together.
    pub context_window: Option<u32>,
    /// Of `tools`, `images` and `structured-output`.
    pub capabilities: Vec<String>,
    /// The operator's labels: name, value.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
}

/// A price, in nano-dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPrice {
    /// Input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from a prompt cache; policies do not see it.
    #[serde(default)]
    pub cache_read: Option<u64>,
    /// Input written to a prompt cache; policies do not see it.
    #[serde(default)]
    pub cache_write: Option<u64>,
    /// Thinking, where the provider counts it apart; policies do not see it.
    #[serde(default)]
    pub reasoning: Option<u64>,
}

/// A table as a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TableLine {
    models_id: String,
    models: Vec<ModelRow>,
}

const CAPABILITIES: [(&str, Capabilities); 3] = [
    ("tools", Capabilities::TOOLS),
    ("images", Capabilities::IMAGES),
    ("structured-output", Capabilities::STRUCTURED_OUTPUT),
];

impl ModelTable {
    /// The table of the models of a configuration; `further_prices` gives what a model charges for reading from and writing to
    /// its prompt cache and for thinking, in nano-dollars for a million tokens.
    #[must_use]
    pub fn of(models: &Models, further_prices: impl Fn(usize) -> Option<[u64; 3]>) -> Self {
        let row = |(at, model): (usize, &Model)| ModelRow {
            name: model.name.clone(),
            backend: model.backend.clone(),
            location: match model.location {
                Location::Local => "local".to_owned(),
                Location::Cloud => "cloud".to_owned(),
            },
            price: model.price.map(|price| {
                let further = further_prices(at);
                RowPrice {
                    input: price.input,
                    output: price.output,
                    cache_read: further.map(|[read, ..]| read),
                    cache_write: further.map(|[_, write, _]| write),
                    reasoning: further.map(|[.., reasoning]| reasoning),
                }
            }),
            context_window: model.context_window,
            capabilities: CAPABILITIES
                .iter()
                .filter(|(_, flag)| model.capabilities.contains(*flag))
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            labels: model.labels.clone(),
        };
        let rows: Vec<ModelRow> = models.all().iter().enumerate().map(row).collect();
        Self { id: id_of(&rows), rows, models: models.clone() }
    }

    /// The table of rows.
    #[must_use]
    pub fn new(rows: Vec<ModelRow>) -> Self {
        let models = Models::new(rows.iter().map(model));
        Self { id: id_of(&rows), rows, models }
    }

    /// What tells it from other tables.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> &[ModelRow] {
        &self.rows
    }

    /// The models as policies know them.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The position of a model.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.name == name)
    }

    pub(crate) fn line(&self) -> TableLine {
        TableLine { models_id: self.id.clone(), models: self.rows.clone() }
    }
}

impl TableLine {
    /// The table, under the id that decisions name.
    pub(crate) fn table(self) -> ModelTable {
        ModelTable { id: self.models_id, ..ModelTable::new(self.models) }
    }
}

fn id_of(rows: &[ModelRow]) -> String {
    // Rows have only texts and numbers, so that they can be written.
    let mut id = sha256(&serde_json::to_vec(rows).unwrap_or_default());
    id.truncate(ID_DIGITS);
    id
}

fn model(row: &ModelRow) -> Model {
    let mut capabilities = Capabilities::empty();
    for (name, flag) in CAPABILITIES {
        if row.capabilities.iter().any(|known| known == name) {
            capabilities |= flag;
        }
    }
    Model {
        name: row.name.clone(),
        backend: row.backend.clone(),
        location: if row.location == "local" { Location::Local } else { Location::Cloud },
        price: row.price.map(|price| Price { input: price.input, output: price.output }),
        context_window: row.context_window,
        capabilities,
        labels: row.labels.clone(),
    }
}
