// @ts-check
// Which model answers: short prompts stay local, long ones go to the cloud.
import { Breaker, Health, models } from './contract.js';
import { NAME, VERSION } from './identity.js';
import { wholeNumber } from './settings.js';

/**
 * @import { Verdict } from 'wasmgate:policy/routing@2.0.0'
 * @import { Candidate, Manifest, Prompt, Request } from 'wasmgate:policy/types@2.0.0'
 */

const CLOUD_FROM = wholeNumber(
  'cloud-from',
  'Prompts of so many tokens or more go to cloud models first, shorter ones to local models: 1 to 1000000.',
  [1, 1_000_000],
  200,
);

let cloudFrom = 0;

/** @returns {Manifest} */
export function describe() {
  return {
    name: NAME,
    version: VERSION,
    summary: 'Short prompts stay local, long ones go to the cloud.',
    settings: [CLOUD_FROM.entry],
    // To look at texts: prompt: 'newest' (the user's newest message) or 'conversation'; contract.js has readers for both.
    reads: { prompt: 'none', labels: [], tenant: false },
    denies: false,
    reasons: [],
  };
}

export function configure() {
  cloudFrom = CLOUD_FROM.read();
}

/**
 * @param {Request} request
 * @param {Prompt} _prompt
 * @param {Candidate[]} candidates
 * @returns {Verdict}
 */
export function route(request, _prompt, candidates) {
  const tokens = request.promptTokens;
  const isLong = tokens >= cloudFrom;
  const wanted = isLong ? 'cloud' : 'local';

  // None is left out: a model that is down now may be the last resort a second later.
  const place = (/** @type {Candidate} */ { model, health, breaker }) =>
    (health === Health.down || breaker === Breaker.open ? 2 : 0) + (models[model].location === wanted ? 0 : 1);
  const ranking = [...candidates.keys()].sort((a, b) => place(candidates[a]) - place(candidates[b]));

  const tier = isLong ? 'high' : 'low';
  const reason = `${tokens} tokens: ${wanted} models first`;
  return { tag: 'route', val: { ranking, tier, reason: { tag: 'text', val: reason } } };
}
