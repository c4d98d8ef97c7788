/**
 * The contract between Wasmgate and its policies.
 *
 * A policy is a Wasm component that exports `routing`, `cost`, or both. Wasmgate calls it once for each
 * request, on the request's path, and treats its answer as a choice among what it was offered: a policy
 * selects, it never invents. Policies have no clock, network, files, environment, arguments or secrets;
 * WASI may be imported (most compilers' standard libraries do) but is empty, its clocks stand still and
 * its random numbers repeat, at most 4 KiB in one call.
 *
 * Conventions that hold for every field below:
 * - Money is in nano-dollars (10^-9 US dollars), integer. 3 USD per million tokens is 3_000_000_000
 *   nano-dollars per million tokens.
 * - Durations are in seconds, tokens are whole tokens, ratios run from 0 to 1.
 * - `none` means "not known" or "not given", never zero.
 * - Instances may be reused for several calls and may be replaced at any time. Do not rely on state
 *   between calls; what `configure` prepared is the only thing worth keeping.
 *
 * Versions: within 1.x no record, variant, enum or function signature of this file changes. New
 * information arrives as new functions in the imported interfaces.
 *
 * This file says what is in `policy.wit` in TypeScript, the way that componentize-js hands it to JavaScript: `none` is
 * `undefined`, 64-bit integers are `bigint`, a case of a variant is an object of `tag` and `val`. An exported function
 * that has an error for a result throws it: a string, and no `Error`, which would end the instance instead.
 */

/** What requests, candidates and policies look like. Only types, shared by both hooks. */
declare module 'wasmgate:policy/types@1.0.0' {
  /** The wire dialect in which the client spoke. */
  export type Dialect =
    /** `POST /api/v1/chat` and `/api/v1/complexity`. */
    | 'native'
    /** `POST /v1/chat/completions`. */
    | 'openai'
    /** `POST /v1/messages`. */
    | 'anthropic'
    /** `POST /api/chat`. */
    | 'ollama';

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

  /** One message of the conversation. */
  export interface Message {
    /** Who said it. */
    role: Role;
    /**
     * Its text parts, joined by a line break. Images and tool calls are not in it; a message that
     * has no text is the empty string.
     */
    text: string;
  }

  /** A dollar budget that applies to the request. */
  export interface Budget {
    /** The whole budget of the current window, in nano-dollars, above 0. */
    limit: bigint;
    /**
     * What is left of it, in nano-dollars, 0 to `limit`. Reservations of requests in flight are
     * already taken off.
     */
    left: bigint;
  }

  /** What a policy may know of one request. */
  export interface Request {
    /**
     * The request's id as in the `x-wasmgate-request-id` header. It carries no meaning, but no two requests share
     * one: it is fit for log lines and, hashed, for choosing a share of requests.
     */
    id: string;
    /** The dialect in which the client spoke. */
    dialect: Dialect;
    /**
     * The model the client asked for: `auto`, or a configured name. With a configured name the
     * candidates are that model and the fallbacks that the operator configured for it. That model comes
     * first whatever the policy ranks, unless the policy leaves it out; the policy may also deny the request.
     */
    requestedModel: string;
    /**
     * The conversation, oldest message first, at least one. What a policy is shown is bounded by the
     * operator's input limit (1 MiB unless configured, above what the default limits of a request let
     * in): texts and labels, each with 64 bytes in addition. Of a request beyond it, the first message
     * and the newest ones that fit are here. A first message above a quarter of the limit is cut to its
     * beginning, and so is a newest one that does not fit. `hints` then say what was left out.
     */
    messages: Message[];
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
    /** The configured name of the tenant whose key the request carried. */
    tenant?: string;
    /** The tenant's budget, where it has one. */
    budget?: Budget;
    /** Request headers that the operator's allow-list lets policies see: name in lower case, value. */
    labels: [string, string][];
    /**
     * Further facts, by name, without a new version of this contract. Ignore names you do not know.
     * `messages-left-out`, `bytes-cut` and `labels-left-out` say in decimal how many messages, bytes of
     * the shown messages and labels the policy is not shown; each is absent if it would be 0. `last-model` is the
     * name of the candidate that answered this conversation before, if the gateway remembers it: its provider
     * may still have the conversation in a cache, which makes it cheaper and faster.
     */
    hints: [string, string][];
  }

  /** Where a model runs. */
  export type Location =
    /** On hardware of the operator's own. */
    | 'local'
    /** At a provider. */
    | 'cloud';

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

  /** What a model can do beside text, as far as the operator's configuration says so. */
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

  /** What recent calls of a model took. Moving averages that weigh recent calls more. */
  export interface Observed {
    /** Whole call, in seconds, above 0. */
    latency: number;
    /** From the call to its first token, in seconds, above 0. `none` until a stream was seen. */
    timeToFirstToken?: number;
    /** Output tokens a second once they flow, above 0. `none` until a stream was seen. */
    tokensPerSecond?: number;
  }

  /** A model that may answer this request. */
  export interface Candidate {
    /** The configured name of the model; unique among the candidates. */
    model: string;
    /** The configured name of the backend that serves it; several models may share one. */
    backend: string;
    /** Where the model runs. */
    location: Location;
    /** What it charges. `none` means unpriced, which is not free: free is a price of 0. */
    price?: Price;
    /** The longest input and output together, in tokens, above 0. `none` where not configured. */
    contextWindow?: number;
    /** What it can do beside text. */
    capabilities: Capabilities;
    /** What probes and traffic say of its backend. */
    health: Health;
    /** The state of its breaker. */
    breaker: Breaker;
    /** Requests that the gateway has under way to its backend, this one not counted. */
    inFlight: number;
    /** What recent calls took. `none` until one ended. */
    observed?: Observed;
    /**
     * What the cost policy expects of this request on this model. `none` for a cost policy, and for a
     * routing policy where the cost policy failed.
     */
    estimate?: CostEstimate;
  }

  /** What a cost policy expects of one candidate. */
  export interface CostEstimate {
    /** Expected input tokens. */
    inputTokens: number;
    /** Expected output tokens. */
    outputTokens: number;
    /** Expected cost in nano-dollars. `none` where the candidate is unpriced. */
    cost?: bigint;
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

  /** A setting that a policy understands. */
  export interface Setting {
    /** Its name: letters, digits, `-` and `_`, at most 64. */
    name: string;
    /** One sentence for operators: what it does, its unit and range. */
    summary: string;
    /** What holds where the operator gives none. Its case is the setting's type: any other is refused. */
    default: Value;
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
    /**
     * Every setting it reads. An operator's file that names another is refused. A routing policy that can
     * deny requests says so with a boolean setting named `deny`, or `deny-` and more, which is true
     * while it can: if it fails, the gateway then refuses the request instead of deciding itself, unless
     * the operator chose otherwise. A text or a list of texts called `model` or `models`, or whose name ends in
     * `-model` or `-models`, names models: the gateway checks its names against the configured models. Lists called
     * `low-models`, `medium-models` and `high-models` are tiers: the gateway makes those that the operator does not
     * set from the configured models, and `get` returns them like the operator's.
     */
    settings: Setting[];
  }
}

/** What the operator configured. Imported by a policy that has settings. */
declare module 'wasmgate:policy/settings@1.0.0' {
  import type { Value } from 'wasmgate:policy/types@1.0.0';

  /**
   * The operator's value of a setting, already checked against the manifest's type. `none` where the
   * operator gave none: the policy then uses the default that its manifest states. May be called from
   * `configure` and from decisions; a setting never changes during the life of an instance.
   */
  export function get(name: string): Value | undefined;
}

/** A line to the operator's log. Imported by a policy that logs. */
declare module 'wasmgate:policy/log@1.0.0' {
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

/** The routing hook: which model answers. */
declare module 'wasmgate:policy/routing@1.0.0' {
  import type { Request, Candidate, Manifest } from 'wasmgate:policy/types@1.0.0';

  /** How demanding a request is. */
  export type Tier =
    /** A small model will do. */
    | 'low'
    /** Between the two. */
    | 'medium'
    /** It takes the most capable model. */
    | 'high';

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
    /** Why, in a sentence, for people; at most 1 KiB. Shown to the client; never repeat the prompt in it. */
    reason: string;
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
   * Decides one request. There is at least one candidate; they come in the order of the operator's
   * configuration. An error counts as a failure of the policy,
   * with its text in the log; the gateway then does what the operator chose for failures.
   */
  export function route(request: Request, candidates: Candidate[]): Verdict;
}

/** The cost hook: what a request will cost on each candidate. */
declare module 'wasmgate:policy/cost@1.0.0' {
  import type { Request, Candidate, CostEstimate, Manifest } from 'wasmgate:policy/types@1.0.0';

  /** As in `routing`. A component that exports both interfaces gives both the same name and version. */
  export function describe(): Manifest;

  /** As in `routing`. */
  export function configure(): void;

  /**
   * Estimates all candidates of one request. The answer holds one estimate for each candidate, in the
   * candidates' order. An error counts as a failure of the policy: the candidates then go to the
   * routing policy without estimates.
   */
  export function estimate(request: Request, candidates: Candidate[]): CostEstimate[];
}
