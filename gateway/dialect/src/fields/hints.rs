//! The hints: fields that change how an answer comes about, not what was asked. Where a dialect has a counterpart, the
//! gateway writes it; elsewhere the hint is left out, and the client is told so.

use super::Field;

/// Declares the hints and their table together, so that neither can have a row that the other lacks.
macro_rules! hints {
    (@list) => { &[] };
    (@list $list:tt) => { &$list };
    ($($(#[$doc:meta])* $name:ident $label:literal $class:ident:
        openai $openai:tt => $to_openai:expr,
        anthropic $anthropic:tt => $to_anthropic:expr,
        ollama $ollama:tt => $to_ollama:expr,
        $(responses $responses:tt,)?
        says_nothing $nothing:tt;)*) => {
        /// A hint of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Hint {
            $($(#[$doc])* $name,)*
        }

        /// The table, in the order of `Hint`.
        pub static HINTS: &[Field] = &[$(Field {
            label: $label,
            class: super::Class::$class,
            read: [&$openai, &$anthropic, &$ollama, hints!(@list $($responses)?)],
            written: [$to_openai, $to_anthropic, $to_ollama],
            says_nothing: &$nothing,
        },)*];

        impl Hint {
            /// All hints, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

// For each dialect: the paths at which a request has the hint, and the path at which the gateway writes it for a backend.
hints! {
    /// Whether the model thinks, or within which budget.
    Thinking "thinking" Hint:
        openai ["thinking", "enable_thinking", "chat_template_kwargs"] => None,
        anthropic ["thinking"] => None,
        ollama ["think"] => Some("think"),
        says_nothing [];
    /// How much the model thinks.
    Effort "effort" Hint:
        openai ["reasoning_effort", "reasoning"] => Some("reasoning_effort"),
        anthropic ["output_config.effort", "messages[].output_config"] => Some("output_config.effort"),
        ollama ["think"] => Some("think"),
        responses ["reasoning.effort"],
        says_nothing [];
    /// Earlier thinking in the history.
    Reasoning "reasoning" Annotation:
        openai ["messages[].reasoning_content", "messages[].reasoning", "messages[].reasoning_details"]
            => Some("messages[].reasoning_content"),
        anthropic ["messages[].content[].thinking", "messages[].content[].redacted_thinking"] => None,
        ollama ["messages[].thinking"] => Some("messages[].thinking"),
        responses ["input[].encrypted_content"],
        says_nothing [];
    /// What the provider removes from old turns.
    ContextManagement "context_management" Hint:
        openai [] => None,
        anthropic ["context_management"] => None,
        ollama ["truncate", "shift"] => None,
        responses ["truncation", "context_management"],
        says_nothing [];
    /// What the provider caches.
    CacheControl "cache_control" Annotation:
        openai ["*.cache_control", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"] => None,
        anthropic ["*.cache_control"] => None,
        ollama [] => None,
        responses ["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
        says_nothing [];
    /// The client's id for its user.
    User "user" Annotation:
        openai ["user", "safety_identifier"] => Some("user"),
        anthropic ["metadata.user_id"] => Some("metadata.user_id"),
        ollama [] => None,
        responses ["user", "safety_identifier"],
        says_nothing [];
    /// Marks for the provider's dashboards.
    Metadata "metadata" Annotation:
        openai ["metadata"] => None,
        anthropic ["metadata.*"] => None,
        ollama [] => None,
        responses ["metadata", "client_metadata"],
        says_nothing ["{}"];
    /// Whether the provider keeps the answer.
    Store "store" Hint:
        openai ["store"] => None,
        anthropic [] => None,
        ollama [] => None,
        responses ["store"],
        says_nothing ["false"];
    /// Priority and price at the provider.
    ServiceTier "service_tier" Hint:
        openai ["service_tier"] => None,
        anthropic ["service_tier", "speed", "fallbacks"] => None,
        ollama [] => None,
        responses ["service_tier"],
        says_nothing ["\"auto\"", "\"default\""];
    /// Features that a header asks for: `anthropic-beta`.
    Beta "beta" Annotation:
        openai [] => None,
        anthropic ["anthropic-beta"] => None,
        ollama [] => None,
        says_nothing [];
    /// Output limits that only one dialect can express.
    OutputLimit "output_limit" Hint:
        openai ["max_tokens", "max_completion_tokens"] => Some("max_tokens"),
        anthropic ["max_tokens"] => Some("max_tokens"),
        ollama ["options.num_predict"] => Some("options.num_predict"),
        responses ["max_output_tokens"],
        says_nothing [];
    /// Sampling temperature, moved into the range of the backend's dialect.
    Temperature "temperature" Hint:
        openai ["temperature"] => Some("temperature"),
        anthropic ["temperature"] => Some("temperature"),
        ollama ["options.temperature"] => Some("options.temperature"),
        responses ["temperature"],
        says_nothing [];
    /// Nucleus sampling.
    TopP "top_p" Hint:
        openai ["top_p"] => Some("top_p"),
        anthropic ["top_p"] => Some("top_p"),
        ollama ["options.top_p"] => Some("options.top_p"),
        responses ["top_p"],
        says_nothing [];
    /// Sampling among the likeliest tokens.
    TopK "top_k" Hint:
        openai ["top_k"] => None,
        anthropic ["top_k"] => Some("top_k"),
        ollama ["options.top_k"] => Some("options.top_k"),
        says_nothing [];
    /// Seed of the sampling.
    Seed "seed" Hint:
        openai ["seed"] => Some("seed"),
        anthropic [] => None,
        ollama ["options.seed"] => Some("options.seed"),
        says_nothing [];
    /// Penalty on frequent tokens.
    FrequencyPenalty "frequency_penalty" Hint:
        openai ["frequency_penalty"] => Some("frequency_penalty"),
        anthropic [] => None,
        ollama ["options.frequency_penalty"] => Some("options.frequency_penalty"),
        says_nothing [];
    /// Penalty on tokens that occurred.
    PresencePenalty "presence_penalty" Hint:
        openai ["presence_penalty"] => Some("presence_penalty"),
        anthropic [] => None,
        ollama ["options.presence_penalty"] => Some("options.presence_penalty"),
        says_nothing [];
    /// Penalties and rewards of single tokens.
    LogitBias "logit_bias" Hint:
        openai ["logit_bias"] => None,
        anthropic [] => None,
        ollama [] => None,
        says_nothing ["{}"];
    /// Stop sequences that the backend's dialect refuses: of white space only.
    Stop "stop" Hint:
        openai ["stop"] => Some("stop"),
        anthropic ["stop_sequences"] => Some("stop_sequences"),
        ollama ["options.stop"] => Some("options.stop"),
        says_nothing [];
    /// Options of one kind of server, such as the size of its context.
    ServerOptions "server_options" Hint:
        openai ["min_p", "top_a", "typical_p", "repetition_penalty", "length_penalty", "min_tokens", "ignore_eos"]
            => None,
        anthropic [] => None,
        ollama ["options.*"] => None,
        says_nothing [];
    /// How long a server keeps the model in memory.
    KeepAlive "keep_alive" Annotation:
        openai ["keep_alive"] => None,
        anthropic [] => None,
        ollama ["keep_alive"] => None,
        says_nothing [];
    /// The length of the answer, as a word.
    Verbosity "verbosity" Hint:
        openai ["verbosity"] => None,
        anthropic [] => None,
        ollama [] => None,
        responses ["text.verbosity"],
        says_nothing ["\"medium\""];
    /// Text that the answer probably repeats, for speed.
    Prediction "prediction" Hint:
        openai ["prediction"] => None,
        anthropic [] => None,
        ollama [] => None,
        says_nothing [];
    /// How a stream is reported.
    StreamOptions "stream_options" Annotation:
        openai ["stream_options"] => Some("stream_options"),
        anthropic [] => None,
        ollama [] => None,
        responses ["stream_options"],
        says_nothing [];
    /// Whether several tools may be called at once.
    ParallelToolCalls "parallel_tool_calls" Hint:
        openai ["parallel_tool_calls"] => Some("parallel_tool_calls"),
        anthropic ["tool_choice.disable_parallel_tool_use"] => Some("tool_choice.disable_parallel_tool_use"),
        ollama [] => None,
        responses ["parallel_tool_calls"],
        says_nothing [];
    /// Whether a tool's arguments must fit its schema.
    Strict "strict" Hint:
        openai ["tools[].function.strict"] => Some("tools[].function.strict"),
        anthropic ["tools[].strict"] => Some("tools[].strict"),
        ollama ["tools[].function.strict"] => None,
        responses ["tools[].strict"],
        says_nothing [];
    /// When and how a tool is loaded, and examples of its use.
    ToolLoading "tool_loading" Hint:
        openai [] => None,
        anthropic ["tools[].defer_loading", "tools[].eager_input_streaming", "tools[].input_examples",
            "tools[].allowed_callers"] => None,
        ollama [] => None,
        says_nothing ["false", "[\"direct\"]"];
    /// The name and description of an answer's schema.
    SchemaName "schema_name" Annotation:
        openai ["response_format.json_schema.name", "response_format.json_schema.description"]
            => Some("response_format.json_schema.name"),
        anthropic [] => None,
        ollama [] => None,
        responses ["text.format.name", "text.format.description"],
        says_nothing [];
    /// The name of a message's author.
    Name "name" Hint:
        openai ["messages[].name"] => None,
        anthropic [] => None,
        ollama [] => None,
        says_nothing [];
    /// How closely a model looks at an image.
    Detail "detail" Hint:
        openai ["messages[].content[].image_url.detail"] => None,
        anthropic [] => None,
        ollama [] => None,
        says_nothing ["\"auto\""];
    /// Sources that an earlier answer named.
    Citations "citations" Hint:
        openai ["messages[].annotations"] => None,
        anthropic ["messages[].content[].citations"] => None,
        ollama [] => None,
        says_nothing ["[]"];
    /// Tools that the provider runs itself.
    ServerTools "server_tools" Hint:
        openai [] => None,
        anthropic [] => None,
        ollama [] => None,
        responses ["tools[].type", "max_tool_calls"],
        says_nothing [];
    /// What the answer reports about itself.
    Report "report" Annotation:
        openai [] => None,
        anthropic [] => None,
        ollama [] => None,
        responses ["include", "reasoning.summary", "reasoning.generate_summary", "reasoning.context"],
        says_nothing ["[]"];
    /// Fields that the gateway does not know.
    Other "other" Hint:
        openai [] => None,
        anthropic [] => None,
        ollama [] => None,
        says_nothing [];
}

impl Hint {
    /// Its row.
    #[must_use]
    pub fn field(self) -> &'static Field {
        &HINTS[self as usize]
    }
}

/// A set of hints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints(u64);

impl Hints {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set of these.
    #[must_use]
    pub fn of(hints: &[Hint]) -> Self {
        hints.iter().fold(Self::default(), |set, &hint| set.with(hint))
    }

    /// The set from its number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its number.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// This set and `hint`.
    #[must_use]
    pub fn with(self, hint: Hint) -> Self {
        Self(self.0 | 1 << hint as u8)
    }

    /// What is in either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `hint` is in the set.
    #[must_use]
    pub fn has(self, hint: Hint) -> bool {
        self.0 & 1 << hint as u8 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Hint> {
        Hint::ALL.iter().copied().filter(move |&hint| self.has(hint))
    }
}
