/**
 * The contract between Wasmgate and its policies.
 *
 * A policy is a Wasm component that exports `routing`, `cost`, or both. Wasmgate calls it once for each
 * request, on the request's path, and treats its answer as a choice among what it was offered: a policy
 * selects, it never invents. Policies have no clock, network, files, environment, arguments or secrets;
 * WASI may be imported (most compilers' standard libraries do) but is empty, its clocks stand still and
 * its random numbers repeat, at most 4 KiB in one call.
 *
 * A policy gets what its manifest says that it reads, and nothing else: `reads`. What changes rarely (models and
 * their prices) it gets once; what changes with each request it gets as numbers.
 *
 * Conventions that hold for every field below:
 * - Money is in nano-dollars (10^-9 US dollars), integer. 3 USD per million tokens is 3_000_000_000
 *   nano-dollars per million tokens.
 * - Durations are in seconds, tokens are whole tokens, ratios run from 0 to 1.
 * - `none` means "not known" or "not given", never zero. Records that are copied in one piece (`candidate`,
 *   `cost-estimate`) hold plain numbers only; each of their fields says which value stands for `none`.
 * - Instances may be reused for several calls and may be replaced at any time. Do not rely on state
 *   between calls; what `configure` and `set-models` prepared is the only thing worth keeping.
 *
 * Versions: within 2.x no record, variant, enum or function signature of this file changes. New
 * information arrives as new functions in the imported interfaces.
 *
 * This file says what is in `policy.wit` in TypeScript, the way that componentize-js hands it to JavaScript: `none` is
 * `undefined`, 64-bit integers are `bigint`, a case of a variant is an object of `tag` and `val`. An exported function
 * that has an error for a result throws it: a string, and no `Error`, which would end the instance instead.
 */

/** What requests, models and policies look like. Only types, shared by both hooks. */
declare module 'wasmgate:policy/types@2.0.0' {
  /** Who said a message. */
  export type Role =
    /** Instructions of the application (OpenAI's `developer` counts as system too). */
    | 'system'
    /** The person or program that asks. */
    | 'user'
    /** An earlier answer of a model. */
    | 'assistant'
    /** The result of a tool that a model called. */
    | 'tool';

  /** One message of the conversation: a part of the prompt's text. */
  export interface Message {
    /** Who said it: 0 `system`, 1 `user`, 2 `assistant`, 3 `tool`. */
    role: number;
    /** Where its text begins in the prompt's, in bytes of UTF-8. */
    start: number;
    /**
     * The length of its text in bytes. Its text parts are joined by a line break; images and tool calls are not in
     * it. A message that has no text has length 0.
     */
    length: number;
  }

  /** The messages of a conversation that are shown, in one piece. */
  export interface Conversation {
    /** Their texts, one after the other. */
    text: string;
    /** The messages, oldest first. */
    messages: Message[];
  }

  /**
   * What a policy reads of the conversation, as its manifest says.
   *
   * What a policy is shown is bounded by the operator's input limit (1 MiB unless configured, above what the
   * default limits of a request let in): texts and labels, each with 64 bytes in addition. Of a conversation beyond
   * it, the first message and the newest ones that fit are here. A first message above a quarter of the limit is cut
   * to its beginning, and so is a newest one that does not fit. `left-out` says what is missing.
   */
  export type Prompt =
    /** The policy reads no text. */
    | { tag: 'none'; val?: undefined }
    /** The text of the user's newest message; empty if there is none. */
    | { tag: 'newest'; val: string }
    /** All messages. */
    | { tag: 'conversation'; val: Conversation };

  /** What a policy is not shown of what it reads, because of the operator's input limit. */
  export interface LeftOut {
    /** How many messages. */
    messages: number;
    /** How many bytes of the shown messages' text. */
    bytes: bigint;
    /** How many labels. */
    labels: number;
  }

  /** A dollar budget that applies to the request. */
  export interface Budget {
    /** The whole budget of the current window, in nano-dollars; 0 where no money may be spent. */
    limit: bigint;
    /**
     * What is left of it, in nano-dollars, 0 to `limit`. Reservations of requests in flight are
     * already taken off.
     */
    left: bigint;
  }

  /** What a limit counts. */
  export type Measure =
    /** Requests that were admitted. */
    | 'requests'
    /** Tokens, input and output. */
    | 'tokens'
    /** Money, in nano-dollars. */
    | 'money'
    /** Requests in flight. */
    | 'concurrent';

  /** A limit of the tenant's, or of a group above it, that applies to the request. */
  export interface Limit {
    /** What it counts. */
    measure: Measure;
    /** The most that it allows in its current window; 0 where it allows nothing. */
    most: bigint;
    /** What is left of that, 0 to `most`. Reservations of requests in flight are already taken off. */
    left: bigint;
    /** When its window ends, in seconds from now. `none`: never. */
    endsIn?: bigint;
  }

  /** What every policy may know of a request: numbers, no text. `request-facts` has the rest. */
  export interface Request {
    /**
     * The model that the client asked for, by its place among the models; `none` for `auto`. The candidates are
     * then that model and the fallbacks that the operator configured for it. That model comes
     * first whatever the policy ranks, unless the policy leaves it out; the policy may also deny the request.
     */
    requested?: number;
    /**
     * The model that answered this conversation before, if the gateway remembers it: its provider may still have the
     * conversation in a cache, which makes it cheaper and faster.
     */
    answeredBefore?: number;
    /** Whether only one backend can answer, because the request refers to what that backend holds. */
    pinned: boolean;
    /** Tokens of the whole prompt as the gateway estimates them. An estimate: models differ. */
    promptTokens: number;
    /** The most output tokens the client will accept, where it said so; at least 1. */
    maxTokens?: number;
    /** Whether the client wants the answer as a stream. */
    streaming: boolean;
    /** Whether the request offers tools to the model. */
    tools: boolean;
    /** Whether a message holds an image. */
    images: boolean;
    /** Whether the client wants the answer in a format (JSON mode or a schema). */
    structuredOutput: boolean;
    /** How many messages the conversation has. */
    messages: number;
    /** The length of all texts of the conversation in bytes. */
    textBytes: bigint;
    /** The length of the text of the user's newest message in bytes; 0 if there is none. */
    newestBytes: bigint;
    /** The tenant's budget, where it has one. Always `none` for a policy that does not read tenants. */
    budget?: Budget;
    /** What the policy is not shown. */
    leftOut: LeftOut;
  }

  /** Where a model runs. */
  export type Location =
    /** On hardware of the operator's own. */
    | 'local'
    /** At a provider. */
    | 'cloud';

  /** What a model can do besides text, as far as the operator's configuration says so. */
  export interface Capabilities {
    /** It can call tools. */
    tools?: boolean;
    /** It can read images. */
    images?: boolean;
    /** It can be held to an output format (JSON mode or a schema). */
    structuredOutput?: boolean;
  }

  /** What a model charges, in nano-dollars per million tokens. */
  export interface Price {
    /** Each million input tokens. */
    input: bigint;
    /** Each million output tokens. */
    output: bigint;
  }

  /** A configured model: what does not change from request to request. */
  export interface Model {
    /** Its configured name; unique. */
    name: string;
    /** The configured name of the backend that serves it; several models may share one. */
    backend: string;
    /** Where it runs. */
    location: Location;
    /** What it charges. `none` means unpriced, which is not free: free is a price of 0. */
    price?: Price;
    /** The longest input and output together, in tokens, above 0. `none` where not configured. */
    contextWindow?: number;
    /** What it can do besides text. */
    capabilities: Capabilities;
    /** The operator's labels for it: name, value. Names are unique; their order has no meaning. */
    labels: [string, string][];
  }

  /** What probes and recent traffic say of a backend. */
  export type Health =
    /** Not yet probed, and no traffic yet. */
    | 'unknown'
    /** Answers. */
    | 'healthy'
    /** Answers, but some recent calls failed. */
    | 'degraded'
    /** Does not answer. */
    | 'down';

  /** The state of a backend's circuit breaker. */
  export type Breaker =
    /** Traffic flows. */
    | 'closed'
    /** One trial request at a time is let through. */
    | 'half-open'
    /** No traffic is sent. */
    | 'open';

  /** A model that may answer this request, at this moment. Plain numbers. */
  export interface Candidate {
    /** Its place among the models that `set-models` gave. */
    model: number;
    /** What probes and traffic say of its backend: 0 `unknown`, 1 `healthy`, 2 `degraded`, 3 `down`. */
    health: number;
    /** The state of its breaker: 0 `closed`, 1 `half-open`, 2 `open`. */
    breaker: number;
    /** Requests that the gateway has under way to its backend, this one not counted. */
    inFlight: number;
    /**
     * How much of the time that an answer of this model may take is left, in seconds, 0 or more. It counts from the
     * request's arrival, also for a fallback.
     */
    timeLeft: number;
    /**
     * What the whole of a recent call took, in seconds, above 0: a moving average that weighs recent calls more, as the
     * next two. 0 until a call ended.
     */
    latency: number;
    /** From the call to its first token, in seconds, above 0. 0 until a stream was seen. */
    timeToFirstToken: number;
    /** Output tokens a second once they flow, above 0. 0 until a stream was seen. */
    tokensPerSecond: number;
    /** What the cost policy expects of this request on this model. */
    estimate: CostEstimate;
  }

  /** What a cost policy expects of one candidate. Plain numbers. */
  export interface CostEstimate {
    /**
     * Expected input tokens; 4294967295 for a cost policy, and for a routing policy where the cost policy failed: there
     * is no estimate then.
     */
    inputTokens: number;
    /** Expected output tokens; 4294967295 as above. */
    outputTokens: number;
    /** Expected cost in nano-dollars; 18446744073709551615 where the candidate is unpriced. */
    cost: bigint;
  }

  /** A setting's value. */
  export type Value =
    /** True or false. */
    | { tag: 'boolean'; val: boolean }
    /** A whole number. */
    | { tag: 'integer'; val: bigint }
    /** Any finite number. Where a manifest asks for a number, an operator may write a whole one. */
    | { tag: 'number'; val: number }
    /** Text. */
    | { tag: 'text'; val: string }
    /** A list of texts. */
    | { tag: 'texts'; val: string[] };

  /** How demanding a request is. */
  export type Tier =
    /** A small model will do. */
    | 'low'
    /** Between the two. */
    | 'medium'
    /** It takes the most capable model. */
    | 'high';

  /** What a setting's value means beyond its type. */
  export type Meaning =
    /** Nothing beyond its type. */
    | { tag: 'plain'; val?: undefined }
    /** A number, or a whole one, from the first to the second, both included. The gateway refuses others. */
    | { tag: 'range'; val: [number, number] }
    /** A text, or a list of texts, that names models. The gateway checks the names against the configured models. */
    | { tag: 'models'; val?: undefined }
    /**
     * A list of texts that names the models of a tier. The gateway makes the tiers that the operator does not set
     * from the configured models, and `get` returns them like the operator's.
     */
    | { tag: 'tier'; val: Tier }
    /** A text, or a list of texts, that names labels: the policy reads these labels too. */
    | { tag: 'labels'; val?: undefined };

  /** A setting that a policy understands. */
  export interface Setting {
    /** Its name: letters, digits, `-` and `_`, at most 64. */
    name: string;
    /** One sentence for operators: what it does, its unit and range. */
    summary: string;
    /** What holds where the operator gives none. Its case is the setting's type: any other is refused. */
    default: Value;
    /** What its value means. */
    meaning: Meaning;
  }

  /** How much of the conversation a policy reads. */
  export type ReadsPrompt =
    /** No text. */
    | 'none'
    /** The newest message of the user. */
    | 'newest'
    /** All messages. */
    | 'conversation';

  /**
   * What a policy reads of requests. It cannot see the rest. Operators see what each policy reads, and may
   * refuse a policy that reads more than they grant.
   */
  export interface Reads {
    /** How much of the conversation. */
    prompt: ReadsPrompt;
    /**
     * The labels (request headers that the operator's allow-list lets policies see, and the labels of the tenant's
     * group), by name in lower case; `*`: all of them.
     */
    labels: string[];
    /** The tenant's name, budget and limits. */
    tenant: boolean;
  }

  /** What a policy says of itself. */
  export interface Manifest {
    /** Its name: lower-case letters, digits and `-`, 1 to 64. A metric label. */
    name: string;
    /**
     * Its version: letters, digits, `.`, `_` and `-`, 1 to 32. A metric label. Two components with the
     * same name and version must have the same content.
     */
    version: string;
    /** One sentence for operators. */
    summary: string;
    /** Every setting it reads. An operator's file that names another is refused. */
    settings: Setting[];
    /** What it reads of requests. */
    reads: Reads;
    /**
     * Whether it can deny requests: if it fails, the gateway then refuses the request instead of deciding itself,
     * unless the operator chose otherwise. A policy that denies only with some settings says so with a boolean setting
     * named `deny`, or `deny-` and more, which is true while it can, and says `false` here. A denial of a policy that
     * says neither counts as a failure of it.
     */
    denies: boolean;
    /**
     * The texts of the reasons that it gives by number, each a sentence of at most 1 KiB, at most 256 of them. `{0}` stands
     * for the first number that comes with the reason, `{1}` for the second, and so on, each with at most three
     * decimals; `{model}` stands for the name of the first choice.
     */
    reasons: string[];
  }
}

/** What the operator configured. Imported by a policy that has settings. */
declare module 'wasmgate:policy/settings@2.0.0' {
  import type { Value } from 'wasmgate:policy/types@2.0.0';

  /**
   * The operator's value of a setting, already checked against the manifest's type. `none` where the
   * operator gave none: the policy then uses the default that its manifest states. May be called from
   * `configure` and from decisions; a setting never changes during the life of an instance.
   */
  export function get(name: string): Value | undefined;
}

/** A line to the operator's log. Imported by a policy that logs. */
declare module 'wasmgate:policy/log@2.0.0' {
  /** How much a line matters. */
  export type Level =
    /** For the author, while developing. */
    | 'debug'
    /** For the curious operator. */
    | 'info'
    /** Something is not as it should be. */
    | 'warn'
    /** The policy cannot do its work. */
    | 'error';

  /**
   * Writes one line. Lines over 1 KiB are cut, more than 16 in a call are dropped and counted, and so
   * are lines over the operator's rate. The log is not private: never write prompts to it.
   */
  export function write(level: Level, line: string): void;
}

/**
 * Rarely needed facts of the request that is being decided. Imported by a policy that needs one. Outside of a decision
 * every text is empty and every list has no entry.
 */
declare module 'wasmgate:policy/request-facts@2.0.0' {
  import type { Limit } from 'wasmgate:policy/types@2.0.0';

  /**
   * The request's id as in the `x-wasmgate-request-id` header. It carries no meaning, but no two requests share
   * one: it is fit for log lines and, hashed, for choosing a share of requests.
   */
  export function id(): string;

  /**
   * The wire dialect in which the client spoke, such as `native`, `openai`, `responses`, `anthropic` or `ollama`. Later
   * gateways may know more.
   */
  export function dialect(): string;

  /**
   * The configured name of the tenant whose key the request carried. `none` for a policy that does not read tenants.
   */
  export function tenant(): string | undefined;

  /**
   * The limits that apply to the request: of each measure, the one with the least left. Empty for a policy that does not read
   * tenants.
   */
  export function limits(): Limit[];

  /**
   * The value of a label. `none` if the request has none of that name, or the manifest does not say that the policy reads
   * it.
   */
  export function label(name: string): string | undefined;

  /** All labels that the policy reads: name in lower case, value. */
  export function labels(): [string, string][];

  /**
   * Further facts, by name, without a new version of this contract. Ignore names you do not know. `pinned` says why
   * only one backend can answer: `previous_response`, `reasoning` or `encrypted_content`.
   */
  export function hints(): [string, string][];
}

/** The routing hook: which model answers. */
declare module 'wasmgate:policy/routing@2.0.0' {
  import type { Request, Prompt, Candidate, Model, Manifest, Tier } from 'wasmgate:policy/types@2.0.0';

  /** Why, for people. Shown to the client; never repeat the prompt in it. */
  export type Reason =
    /** A sentence of at most 1 KiB. */
    | { tag: 'text'; val: string }
    /** One of the manifest's reasons, counted from 0, and the numbers in it. The gateway writes the sentence. */
    | { tag: 'code'; val: [number, number[]] };

  /** A choice among the candidates. */
  export interface Decision {
    /**
     * Indexes into the candidates, best first: the first choice, then its fallbacks in order. At least
     * one, none twice, all below the number of candidates. A candidate that is left out is not used.
     */
    ranking: number[];
    /** How demanding the request is, from 0 to 1. `none` from a policy that does not judge it. */
    complexity?: number;
    /** The same, as operators see it on dashboards, where `none` is `unknown`. */
    tier?: Tier;
    /** Why. */
    reason: Reason;
  }

  /** A request that must not be answered. */
  export interface Denial {
    /** A short stable code for programs: lower-case letters, digits and `_`, 1 to 64. */
    code: string;
    /** Why, in a sentence, for the client; at most 1 KiB. */
    reason: string;
  }

  /** A routing policy's answer. */
  export type Verdict =
    /** Send it, in this order of preference. */
    | { tag: 'route'; val: Decision }
    /** Refuse it. The client gets a 403 with the code and the reason. */
    | { tag: 'deny'; val: Denial }
    /** No opinion: the gateway's own default decides. */
    | { tag: 'pass'; val?: undefined };

  /**
   * What this policy is. Called once when the component is loaded, in an instance of its own, without
   * `configure` before it.
   */
  export function describe(): Manifest;

  /**
   * Prepares an instance: called once in each new instance before its first decision, and once when the
   * component is loaded, where an error (in a sentence that names the setting and what it should be)
   * refuses the component or the settings.
   */
  export function configure(): void;

  /**
   * The configured models, in the configuration's order. Called after `configure` and before the first decision, and
   * again before the next decision after they changed.
   */
  export function setModels(models: Model[]): void;

  /**
   * Decides one request. There is at least one candidate; they come in the order of the operator's
   * configuration. An error counts as a failure of the policy,
   * with its text in the log; the gateway then does what the operator chose for failures.
   */
  export function route(request: Request, prompt: Prompt, candidates: Candidate[]): Verdict;
}

/** The cost hook: what a request will cost on each candidate. */
declare module 'wasmgate:policy/cost@2.0.0' {
  import type { Request, Prompt, Candidate, Model, CostEstimate, Manifest } from 'wasmgate:policy/types@2.0.0';

  /** As in `routing`. A component that exports both interfaces gives both the same name and version. */
  export function describe(): Manifest;

  /** As in `routing`. */
  export function configure(): void;

  /** As in `routing`. */
  export function setModels(models: Model[]): void;

  /**
   * Estimates all candidates of one request. The answer holds one estimate for each candidate, in the
   * candidates' order. An error counts as a failure of the policy: the candidates then go to the
   * routing policy without estimates.
   */
  export function estimate(request: Request, prompt: Prompt, candidates: Candidate[]): CostEstimate[];
}
