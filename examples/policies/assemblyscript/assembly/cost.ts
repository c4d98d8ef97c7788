// The cost hook: what a request costs on each candidate.
import { Estimates, UNPRICED } from "./contract/answers";
import { Reads, described } from "./contract/host";
import { Call } from "./contract/types";
import { outside, read, whole } from "./settings";

const EXPECTED_OUTPUT_TOKENS = whole(
  "expected-output-tokens",
  "Output tokens to expect of a request, 0 to 10,000,000; fewer where the client's limit is lower.",
  0,
  10_000_000,
  500,
);

// The number of tokens that prices are for.
const PRICED_TOKENS: u64 = 1_000_000;

let expectedOutputTokens: u32 = 0;

export function describeCost(name: string, version: string): usize {
  const summary = "Prompt tokens at the input price and the expected answer at the output price.";
  return described(name, version, summary, Reads.Nothing, false, [EXPECTED_OUTPUT_TOKENS]);
}

// Prepares the instance. Returns why it refuses the settings; an empty text if it does not.
export function configureCost(): string {
  expectedOutputTokens = <u32>read(EXPECTED_OUTPUT_TOKENS).integer;
  return outside(EXPECTED_OUTPUT_TOKENS, "a whole number");
}

export function estimateAll(call: Call): usize {
  const input = call.request.promptTokens;
  const output = call.request.hasMaxTokens ? min(expectedOutputTokens, call.request.maxTokens) : expectedOutputTokens;
  const estimates = new Estimates(call.candidates.length);
  for (let i = 0; i < call.candidates.length; i++) {
    const model = call.candidates[i].model;
    const cost = model.hasPrice ? costOf(model.inputPrice, model.outputPrice, input, output) : UNPRICED;
    estimates.put(i, input, output, cost);
  }
  return estimates.done();
}

// In nano-dollars, halves rounded up; UNPRICED where 64 bits do not hold it. A product has up to 96 bits: a low word of 32 bits and the rest.
function costOf(inputPrice: u64, outputPrice: u64, input: u32, output: u32): u64 {
  const inputLow = <u64>input * (inputPrice & 0xffffffff);
  const outputLow = <u64>output * (outputPrice & 0xffffffff);
  const inputHigh = <u64>input * (inputPrice >> 32) + (inputLow >> 32);
  const outputHigh = <u64>output * (outputPrice >> 32) + (outputLow >> 32);
  // From here on the quotient would not fit. Two smaller ones do not overflow their sum.
  const limit = PRICED_TOKENS << 32;
  if (inputHigh >= limit || outputHigh >= limit) return UNPRICED;
  const low = (inputLow & 0xffffffff) + (outputLow & 0xffffffff) + PRICED_TOKENS / 2;
  const high = inputHigh + outputHigh + (low >> 32);
  if (high >= limit) return UNPRICED;
  const rest = ((high % PRICED_TOKENS) << 32) | (low & 0xffffffff);
  return ((high / PRICED_TOKENS) << 32) + rest / PRICED_TOKENS;
}
