// What the contract hands over as plain numbers, in TypeScript's own terms: models, names of numbers, and texts.
import type { Candidate, Conversation, CostEstimate, Model, Prompt } from 'wasmgate:policy/types@2.0.0';

export const Role = { system: 0, user: 1, assistant: 2, tool: 3 } as const;
export const Health = { unknown: 0, healthy: 1, degraded: 2, down: 3 } as const;
export const Breaker = { closed: 0, halfOpen: 1, open: 2 } as const;

/** The cost of a candidate without a price, in an estimate. */
export const UNPRICED = 2n ** 64n - 1n;

// The tokens of an estimate that there is not.
const UNKNOWN_TOKENS = 2 ** 32 - 1;

const ENCODER = new TextEncoder();
// A byte order mark at the beginning of a message is part of its text.
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** The configured models. A candidate's `model`, and a request's `requested` and `answeredBefore`, are places in this list. */
export let models: Model[] = [];

/** The gateway calls it before the first decision, and again when the models changed. */
export function setModels(configured: Model[]): void {
  models = configured;
}

/** A latency, a time to the first token or a rate of tokens of a candidate: `undefined` where it was not observed. */
export function known(observed: number): number | undefined {
  return observed > 0 ? observed : undefined;
}

/** What the cost policy expects of a request on a candidate. */
export interface Estimate extends Omit<CostEstimate, 'cost'> {
  /** In nano-dollars; `undefined` where the candidate has no price. */
  cost: bigint | undefined;
}

/** The estimate of the cost policy; `undefined` where there is none. */
export function estimateOf({ estimate }: Candidate): Estimate | undefined {
  if (estimate.inputTokens === UNKNOWN_TOKENS) return undefined;
  return { ...estimate, cost: estimate.cost === UNPRICED ? undefined : estimate.cost };
}

/** The text of the newest message of the user; empty if there is none, or the policy reads no text. */
export function newest(prompt: Prompt): string {
  if (prompt.tag === 'newest') return prompt.val;
  return texts(prompt).findLast(({ role }) => role === Role.user)?.text ?? '';
}

/** The messages that a policy reads which reads the conversation, oldest first: who said it, and the text. */
export function texts(prompt: Prompt): { role: number; text: string }[] {
  if (prompt.tag !== 'conversation') return [];
  const cut = cutter(prompt.val);
  return prompt.val.messages.map(({ role, start, length }) => ({ role, text: cut(start, start + length) }));
}

// Cuts messages out of the text of all. They count bytes of UTF-8, strings 16-bit units, which are the same in texts of ASCII
// only.
function cutter({ text, messages }: Conversation): (start: number, end: number) => string {
  const last = messages.at(-1);
  if (!last || last.start + last.length === text.length) return (start, end) => text.slice(start, end);
  const bytes = ENCODER.encode(text);
  return (start, end) => DECODER.decode(bytes.subarray(start, end));
}
