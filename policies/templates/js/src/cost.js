// @ts-check
// What a request will cost by its tokens: the prompt's at the input price, the expected answer's at the output price.
import { models, UNPRICED } from './contract.js';
import { NAME, VERSION } from './identity.js';
import { wholeNumber } from './settings.js';

/** @import { Candidate, CostEstimate, Manifest, Price, Prompt, Request } from 'wasmgate:policy/types@2.0.0' */

const EXPECTED_OUTPUT_TOKENS = wholeNumber(
  'expected-output-tokens',
  'Output tokens to expect of an answer, or fewer where the client\'s limit is lower: 0 to 10000000.',
  [0, 10_000_000],
  500,
);

/** What prices are per. */
const TOKENS = 1_000_000n;

let expectedOutputTokens = 0;

/** @returns {Manifest} */
export function describe() {
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

export function configure() {
  expectedOutputTokens = EXPECTED_OUTPUT_TOKENS.read();
}

/**
 * @param {Request} request
 * @param {Prompt} _prompt
 * @param {Candidate[]} candidates
 * @returns {CostEstimate[]}
 */
export function estimate(request, _prompt, candidates) {
  const inputTokens = request.promptTokens;
  const outputTokens = Math.min(expectedOutputTokens, request.maxTokens ?? Infinity);
  return candidates.map(({ model }) => {
    const { price } = models[model];
    // A model without a price costs "not known", which is not nothing.
    return { inputTokens, outputTokens, cost: price ? costOf(price, inputTokens, outputTokens) : UNPRICED };
  });
}

/**
 * In nano-dollars, halves rounded up. What 64 bits cannot hold is not known either.
 *
 * @param {Price} price
 * @param {number} inputTokens
 * @param {number} outputTokens
 */
function costOf(price, inputTokens, outputTokens) {
  const sum = BigInt(inputTokens) * price.input + BigInt(outputTokens) * price.output;
  const cost = (sum + TOKENS / 2n) / TOKENS;
  return cost < UNPRICED ? cost : UNPRICED;
}
