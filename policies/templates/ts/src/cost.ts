// What a request will cost by its tokens: the prompt's at the input price, the expected answer's at the output price.
import type { Candidate, CostEstimate, Manifest, Price, Prompt, Request } from 'wasmgate:policy/types@2.0.0';
import { models, UNPRICED } from './contract.js';
import { NAME, VERSION } from './identity.js';
import { wholeNumber } from './settings.js';

const EXPECTED_OUTPUT_TOKENS = wholeNumber(
  'expected-output-tokens',
  'Output tokens to expect of an answer, or fewer where the client\'s limit is lower: 0 to 10000000.',
  [0, 10_000_000],
  500,
);

// What prices are per.
const TOKENS = 1_000_000n;

let expectedOutputTokens = 0;

export function describe(): Manifest {
  return {
    name: NAME,
    version: VERSION,
    summary: 'Prompt tokens at the input price and the expected answer at the output price.',
    settings: [EXPECTED_OUTPUT_TOKENS.entry],
    reads: { prompt: 'none', labels: [], tenant: false },
    denies: false,
    reasons: [],
  };
}

export function configure(): void {
  expectedOutputTokens = EXPECTED_OUTPUT_TOKENS.read();
}

export function estimate(request: Request, _prompt: Prompt, candidates: Candidate[]): CostEstimate[] {
  const inputTokens = request.promptTokens;
  const outputTokens = Math.min(expectedOutputTokens, request.maxTokens ?? Infinity);
  return candidates.map(({ model }) => {
    const { price } = models[model];
    // A model without a price costs "not known", which is not nothing.
    return { inputTokens, outputTokens, cost: price ? costOf(price, inputTokens, outputTokens) : UNPRICED };
  });
}

// In nano-dollars, halves rounded up. What 64 bits cannot hold is not known either.
function costOf(price: Price, inputTokens: number, outputTokens: number): bigint {
  const sum = BigInt(inputTokens) * price.input + BigInt(outputTokens) * price.output;
  const cost = (sum + TOKENS / 2n) / TOKENS;
  return cost < UNPRICED ? cost : UNPRICED;
}
