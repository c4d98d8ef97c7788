// The records of wasmgate:policy@2.0.0, as they lie in memory: `@unmanaged` classes have the layout of the canonical ABI. A text
// and a list are two words. An optional value is a flag and the value; the flag is the first byte of as much room as the value's
// alignment. wit/policy.wit says what each field means.
import { textAt } from "./memory";

export enum Role {
  System,
  User,
  Assistant,
  Tool,
}

export enum Location {
  Local,
  Cloud,
}

export enum Health {
  Unknown,
  Healthy,
  Degraded,
  Down,
}

export enum Breaker {
  Closed,
  HalfOpen,
  Open,
}

// Bits of `capabilities`.
export enum Capability {
  Tools = 1,
  Images = 2,
  StructuredOutput = 4,
}

// Whether an optional value is there.
function isSome<T>(flag: T): bool {
  return <u8>flag != 0;
}

// A message of the conversation.
export class Message {
  constructor(
    public role: Role,
    public text: string,
  ) {}
}

@unmanaged
export class Request {
  private requestedFlag: u32;
  private requestedPlace: u32;
  private answeredBeforeFlag: u32;
  private answeredBeforePlace: u32;
  pinned: bool;
  promptTokens: u32;
  private maxTokensFlag: u32;
  maxTokens: u32;
  streaming: bool;
  tools: bool;
  images: bool;
  structuredOutput: bool;
  messages: u32;
  textBytes: u64;
  newestBytes: u64;
  private budgetFlag: u64;
  budgetLimit: u64;
  budgetLeft: u64;
  private leftOutMessages: u32;
  private leftOutBytes: u64;
  private leftOutLabels: u64;

  get hasMaxTokens(): bool {
    return isSome(this.maxTokensFlag);
  }

  // The model that the client asked for; null for `auto`.
  get requested(): Model | null {
    return isSome(this.requestedFlag) ? models[this.requestedPlace] : null;
  }

  // The model that answered this conversation before.
  get answeredBefore(): Model | null {
    return isSome(this.answeredBeforeFlag) ? models[this.answeredBeforePlace] : null;
  }
}

// What the policy reads of the conversation: a case, and the newest message's text or all messages.
@unmanaged
export class Prompt {
  private kind: u8;
  private textData: usize;
  private textSize: usize;
  private messagesData: usize;
  private messagesCount: i32;

  // The text of the newest message of the user; empty if there is none, or the policy reads no text.
  get newest(): string {
    if (this.kind == 1) return String.UTF8.decodeUnsafe(this.textData, this.textSize);
    const messages = this.messages;
    for (let i = messages.length - 1; i >= 0; i--) {
      if (messages[i].role == Role.User) return messages[i].text;
    }
    return "";
  }

  // The messages that a policy reads which reads the conversation, oldest first.
  get messages(): Message[] {
    const messages: Message[] = [];
    if (this.kind != 2) return messages;
    for (let i = 0; i < this.messagesCount; i++) {
      const message = this.messagesData + <usize>i * 12;
      const text = String.UTF8.decodeUnsafe(this.textData + load<u32>(message, 4), load<u32>(message, 8));
      messages.push(new Message(load<u32>(message), text));
    }
    return messages;
  }
}

// A configured model, as it lies in memory.
@unmanaged
class GivenModel {
  private nameData: usize;
  private nameSize: usize;
  private backendData: usize;
  private backendSize: usize;
  location: u8;
  priceFlag: u64;
  inputPrice: u64;
  outputPrice: u64;
  contextWindowFlag: u32;
  contextWindow: u32;
  capabilities: u8;
  labelsData: usize;
  labelsCount: i32;

  get name(): string {
    return textAt(changetype<usize>(this) + offsetof<GivenModel>("nameData"));
  }

  get backend(): string {
    return textAt(changetype<usize>(this) + offsetof<GivenModel>("backendData"));
  }
}

// Shared, as each object takes the collector's time after every call.
const NO_LABELS = new Map<string, string>();

// A configured model.
export class Model {
  readonly name: string;
  readonly backend: string;
  readonly location: Location;
  readonly hasPrice: bool;
  readonly inputPrice: u64;
  readonly outputPrice: u64;
  readonly hasContextWindow: bool;
  readonly contextWindow: u32;
  readonly capabilities: u8;
  // The operator's: name and value.
  labels: Map<string, string> = NO_LABELS;

  constructor(given: GivenModel) {
    this.name = given.name;
    this.backend = given.backend;
    this.location = given.location;
    this.hasPrice = isSome(given.priceFlag);
    this.inputPrice = given.inputPrice;
    this.outputPrice = given.outputPrice;
    this.hasContextWindow = isSome(given.contextWindowFlag);
    this.contextWindow = given.contextWindow;
    this.capabilities = given.capabilities;
    if (given.labelsCount > 0) this.labels = new Map();
    for (let i = 0; i < given.labelsCount; i++) {
      const pair = given.labelsData + <usize>i * 16;
      this.labels.set(textAt(pair), textAt(pair + 8));
    }
  }
}

// The configured models, in the configuration's order.
export let models: Model[] = [];

// Takes the configured models.
export function setModels(address: usize, count: i32): void {
  // A field that is missing above would be found here. Four bytes more bring the next model to its alignment.
  assert(offsetof<GivenModel>() == 68);
  models = [];
  for (let i = 0; i < count; i++) models.push(new Model(changetype<GivenModel>(address + <usize>i * 72)));
}

@unmanaged
export class Candidate {
  private place: u32;
  health: u8;
  breaker: u8;
  inFlight: u32;
  timeLeft: f64;
  // These three are 0 where nothing was observed.
  latency: f64;
  timeToFirstToken: f64;
  tokensPerSecond: f64;
  estimatedInputTokens: u32;
  estimatedOutputTokens: u32;
  estimatedCost: u64;

  get model(): Model {
    return models[this.place];
  }

  // Whether the cost policy expects something, and whether it expects a cost.
  get hasEstimate(): bool {
    return this.estimatedInputTokens != u32.MAX_VALUE;
  }

  get hasEstimatedCost(): bool {
    return this.estimatedCost != u64.MAX_VALUE;
  }
}

// What a call is given. More parameters than the ABI passes one by one come as a record.
export class Call {
  readonly request: Request;
  readonly prompt: Prompt;
  readonly candidates: Candidate[] = [];

  constructor(address: usize) {
    // A field that is missing above would be found here.
    assert(offsetof<Request>() == 104 && offsetof<Prompt>() == 20 && offsetof<Candidate>() == 64);
    this.request = changetype<Request>(address);
    this.prompt = changetype<Prompt>(address + 104);
    const first = load<usize>(address, 124);
    for (let i: usize = 0; i < load<usize>(address, 128); i++) {
      this.candidates.push(changetype<Candidate>(first + i * offsetof<Candidate>()));
    }
  }
}
