// The records of wasmgate:policy@1.0.0, as they lie in memory: `@unmanaged` classes have the layout of the canonical ABI. A text
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

@unmanaged
export class Message {
  role: u8;
  private textData: usize;
  private textSize: usize;

  get text(): string {
    return textAt(changetype<usize>(this) + offsetof<Message>("textData"));
  }
}

@unmanaged
export class Request {
  private idData: usize;
  private idSize: usize;
  dialect: u8;
  private requestedModelData: usize;
  private requestedModelSize: usize;
  private messagesData: usize;
  messagesCount: i32;
  promptTokens: u32;
  private maxTokensFlag: u32;
  maxTokens: u32;
  streaming: bool;
  tools: bool;
  images: bool;
  private tenantFlag: u32;
  private tenantData: usize;
  private tenantSize: usize;
  private budgetFlag: u64;
  budgetLimit: u64;
  budgetLeft: u64;
  private labelsData: usize;
  private labelsCount: i32;
  private hintsData: usize;
  private hintsCount: i32;

  get hasMaxTokens(): bool {
    return isSome(this.maxTokensFlag);
  }

  get requestedModel(): string {
    return textAt(changetype<usize>(this) + offsetof<Request>("requestedModelData"));
  }

  message(at: i32): Message {
    return changetype<Message>(this.messagesData + <usize>at * offsetof<Message>());
  }

  // The value of a label; empty if the request has none of that name.
  label(name: string): string {
    for (let i = 0; i < this.labelsCount; i++) {
      const pair = this.labelsData + <usize>i * 16;
      if (textAt(pair) == name) return textAt(pair + 8);
    }
    return "";
  }
}

@unmanaged
export class Candidate {
  private modelData: usize;
  private modelSize: usize;
  private backendData: usize;
  private backendSize: usize;
  location: u8;
  private priceFlag: u64;
  inputPrice: u64;
  outputPrice: u64;
  private contextWindowFlag: u32;
  contextWindow: u32;
  capabilities: u8;
  health: u8;
  breaker: u8;
  inFlight: u32;
  private observedFlag: u64;
  latency: f64;
  private timeToFirstTokenFlag: u64;
  timeToFirstToken: f64;
  private tokensPerSecondFlag: u64;
  tokensPerSecond: f64;
  private estimateFlag: u64;
  estimatedInputTokens: u32;
  estimatedOutputTokens: u32;
  private estimatedCostFlag: u64;
  estimatedCost: u64;

  get hasPrice(): bool {
    return isSome(this.priceFlag);
  }

  get hasContextWindow(): bool {
    return isSome(this.contextWindowFlag);
  }

  get model(): string {
    return textAt(changetype<usize>(this) + offsetof<Candidate>("modelData"));
  }
}

// What a call is given. More parameters than the ABI passes one by one come as a record.
export class Call {
  readonly request: Request;
  readonly candidates: Candidate[] = [];

  constructor(address: usize) {
    // A field that is missing above would be found here.
    assert(offsetof<Request>() == 96 && offsetof<Candidate>() == 144 && offsetof<Message>() == 12);
    this.request = changetype<Request>(address);
    const first = load<usize>(address, 96);
    for (let i: usize = 0; i < load<usize>(address, 100); i++) {
      this.candidates.push(changetype<Candidate>(first + i * offsetof<Candidate>()));
    }
  }
}
