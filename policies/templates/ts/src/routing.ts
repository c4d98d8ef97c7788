// Which model answers: short prompts stay local, long ones go to the cloud.
import type { Tier, Verdict } from 'wasmgate:policy/routing@1.0.0';
import type { Candidate, Location, Manifest, Request } from 'wasmgate:policy/types@1.0.0';
import { NAME, VERSION } from './identity.js';
import { wholeNumber } from './settings.js';

const CLOUD_FROM = wholeNumber(
  'cloud-from',
  'Prompts of so many tokens or more go to cloud models first, shorter ones to local models: 1 to 1000000.',
  [1, 1_000_000],
  200,
);

let cloudFrom = 0;

export function describe(): Manifest {
  return {
    name: NAME,
    version: VERSION,
    summary: 'Short prompts stay local, long ones go to the cloud.',
    settings: [CLOUD_FROM.entry],
  };
}

export function configure(): void {
  cloudFrom = CLOUD_FROM.read();
}

export function route(request: Request, candidates: Candidate[]): Verdict {
  const tokens = request.promptTokens;
  const isLong = tokens >= cloudFrom;
  const wanted: Location = isLong ? 'cloud' : 'local';

  // None is left out: a model that is down now may be the last resort a second later.
  const place = ({ health, breaker, location }: Candidate) =>
    (health === 'down' || breaker === 'open' ? 2 : 0) + (location === wanted ? 0 : 1);
  const ranking = [...candidates.keys()].sort((a, b) => place(candidates[a]) - place(candidates[b]));

  const tier: Tier = isLong ? 'high' : 'low';
  return { tag: 'route', val: { ranking, tier, reason: `${tokens} tokens: ${wanted} models first` } };
}
