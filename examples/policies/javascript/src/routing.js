// @ts-check
// Routes by how demanding the prompt looks: a small model for simple questions, the most capable one for design and
// code, and none but local ones for what is confidential.
import { label } from 'wasmgate:policy/request-facts@2.0.0';
import { Breaker, Health, models, newest } from './contract.js';
import { NAME, VERSION } from './identity.js';
import { judge, prepared } from './score.js';
import { number, text, texts } from './settings.js';

/**
 * @import { Verdict } from 'wasmgate:policy/routing@2.0.0'
 * @import { Candidate, Manifest, Prompt, Request, Tier } from 'wasmgate:policy/types@2.0.0'
 * @import { Keywords, Score } from './score.js'
 * @import { Reader } from './settings.js'
 */

const LOW_BELOW = number('low-below', 'Scores below this, from 0 to 1, are low.', [0, 1], 0.3);
const HIGH_ABOVE = number(
  'high-above',
  'Scores above this, from 0 to 1, are high; what is neither low nor high is medium.',
  [0, 1],
  0.6,
);
const LOW_MODELS = texts(
  'low-models',
  'Models for low scores, the first choice first. Low, medium and high models in a row go from the least to the most ' +
    'capable: fallbacks go up that row first, then down.',
  ['tinyllama'],
  { tag: 'tier', val: 'low' },
);
const MEDIUM_MODELS = texts('medium-models', 'Models for medium scores, the first choice first.', ['phi2'], {
  tag: 'tier',
  val: 'medium',
});
const HIGH_MODELS = texts('high-models', 'Models for high scores, the first choice first.', ['claude-sonnet'], {
  tag: 'tier',
  val: 'high',
});
const COMPLEX_KEYWORDS = texts(
  'complex-keywords',
  'Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.',
  [
    'analyze',
    'design',
    'architect',
    'implement',
    'refactor',
    'optimize',
    'debug',
    'explain in detail',
    'comprehensive',
    'write code',
    'create function',
    'build',
    'develop',
  ],
);
const SIMPLE_KEYWORDS = texts(
  'simple-keywords',
  'Words that lower the score by 0.1 where no complex keyword occurs, in any case.',
  ['summarize', 'list', 'what is', 'define', 'yes or no', 'classify', 'categorize', 'is this', 'true or false'],
);
const CONFIDENTIAL_LABEL = text(
  'confidential-label',
  'The label that says "true" where only local models may see the request.',
  'x-confidential',
  { tag: 'labels' },
);

/** How many of the complex keywords that were found the reason names. */
const NAMED_KEYWORDS = 5;

/**
 * What `configure` made of the settings.
 *
 * @type {{
 *   lowBelow: number,
 *   highAbove: number,
 *   models: string[],
 *   start: Record<Tier, number>,
 *   keywords: Keywords,
 *   confidentialLabel: string,
 * }}
 */
let settings;

/** @returns {Manifest} */
export function describe() {
  const all = [
    LOW_BELOW,
    HIGH_ABOVE,
    LOW_MODELS,
    MEDIUM_MODELS,
    HIGH_MODELS,
    COMPLEX_KEYWORDS,
    SIMPLE_KEYWORDS,
    CONFIDENTIAL_LABEL,
  ];
  return {
    name: NAME,
    version: VERSION,
    summary: 'Small models for simple prompts, the most capable one for design and code.',
    settings: all.map((setting) => setting.entry),
    reads: { prompt: 'newest', labels: [], tenant: false },
    denies: true,
    reasons: [],
  };
}

export function configure() {
  const [lowBelow, highAbove] = [LOW_BELOW.read(), HIGH_ABOVE.read()];
  if (lowBelow > highAbove) {
    throw `setting ${LOW_BELOW.name} should be at most ${HIGH_ABOVE.name} (${highAbove}), but is ${lowBelow}`;
  }
  const [low, medium, high] = [LOW_MODELS.read(), MEDIUM_MODELS.read(), HIGH_MODELS.read()];
  const models = [...low, ...medium, ...high];
  if (models.length === 0) {
    throw `setting ${HIGH_MODELS.name} should name at least one model, as no tier has one`;
  }
  const twice = models.find((model, index) => models.indexOf(model) < index);
  if (twice !== undefined) {
    const names = `${LOW_MODELS.name}, ${MEDIUM_MODELS.name} and ${HIGH_MODELS.name}`;
    throw `settings ${names} should name each model once, but name ${JSON.stringify(twice)} twice`;
  }
  settings = {
    lowBelow,
    highAbove,
    models,
    start: { low: 0, medium: low.length, high: low.length + medium.length },
    keywords: { complex: keywordList(COMPLEX_KEYWORDS), simple: keywordList(SIMPLE_KEYWORDS) },
    confidentialLabel: CONFIDENTIAL_LABEL.read(),
  };
}

/**
 * @param {Request} request
 * @param {Prompt} prompt
 * @param {Candidate[]} candidates
 * @returns {Verdict}
 */
export function route(request, prompt, candidates) {
  if (request.requested !== undefined) return { tag: 'pass' };

  const score = judge(newest(prompt), settings.keywords);
  const tier = score.value < settings.lowBelow ? 'low' : score.value > settings.highAbove ? 'high' : 'medium';
  const confidential = label(settings.confidentialLabel) === 'true';
  const modelOf = (/** @type {number} */ index) => models[candidates[index].model];
  const wanted = ranked(tier, candidates).filter((index) => !confidential || modelOf(index).location === 'local');
  if (wanted.length === 0) {
    const reason = 'the request is confidential and no local model is offered';
    return { tag: 'deny', val: { code: 'no_local_model', reason } };
  }

  const isHeldUp = (/** @type {number} */ index) => obstacle(request, candidates[index]) !== undefined;
  const ranking = [...wanted.filter((index) => !isHeldUp(index)), ...wanted.filter(isHeldUp)];
  const clauses = [explained(score)];
  if (ranking[0] !== wanted[0]) {
    clauses.push(`${modelOf(wanted[0]).name} would be first but ${obstacle(request, candidates[wanted[0]])}`);
  }
  if (confidential) clauses.push('confidential');
  const reason = clauses.join('; ');
  return { tag: 'route', val: { ranking, complexity: score.value, tier, reason: { tag: 'text', val: reason } } };
}

/**
 * Indexes of the candidates: from the tier's first model upwards, then those below it downwards, then all that the
 * settings do not name.
 *
 * @param {Tier} tier
 * @param {Candidate[]} candidates
 */
function ranked(tier, candidates) {
  const { models: named, start } = settings;
  const row = [...named.slice(start[tier]), ...named.slice(0, start[tier]).reverse()];
  const places = candidates.map(({ model }) => {
    const place = row.indexOf(models[model].name);
    return place < 0 ? row.length : place;
  });
  return [...candidates.keys()].sort((a, b) => places[a] - places[b]);
}

/**
 * What keeps a candidate from answering, the gravest first.
 *
 * @param {Request} request
 * @param {Candidate} candidate
 */
function obstacle(request, candidate) {
  const { capabilities, contextWindow } = models[candidate.model];
  if (candidate.health === Health.down) return 'is down';
  if (candidate.breaker === Breaker.open) return 'has an open breaker';
  // Without a limit from the client the prompt alone counts.
  if (request.promptTokens + (request.maxTokens ?? 0) > (contextWindow ?? Infinity)) {
    return 'has too small a context window';
  }
  if (request.tools && !capabilities.tools) return 'cannot call tools';
  if (request.images && !capabilities.images) return 'cannot read images';
  if (request.structuredOutput && !capabilities.structuredOutput) return 'cannot be held to an output format';
  return undefined;
}

/**
 * What a score is made of. The keywords in it are the operator's; nothing of the prompt is.
 *
 * @param {Score} score
 */
function explained({ value, length, keywords, kind, found, code, form }) {
  const named = [...found.slice(0, NAMED_KEYWORDS), ...(found.length > NAMED_KEYWORDS ? ['…'] : [])];
  const shares = [
    `length ${signed(length)}`,
    `${kind} keywords ${signed(keywords)}` + (named.length > 0 ? ` (${named.join(', ')})` : ''),
  ];
  if (code !== 0) shares.push(`code ${signed(code)}`);
  if (form !== 0) shares.push(`${form < 0 ? 'question' : 'creation'} ${signed(form)}`);
  // By way of whole hundredths, as toFixed alone does not round halves up.
  return `score ${(Math.floor(value * 100 + 0.5) / 100).toFixed(2)}: ${shares.join(', ')}`;
}

/**
 * A share as people read it. They are tenths, all of them, up to rounding far below.
 *
 * @param {number} share
 */
function signed(share) {
  return `${share < 0 ? '-' : '+'}${Math.abs(share).toFixed(1)}`;
}

/**
 * A setting's keywords. One of a single byte is refused: it would be found nearly everywhere.
 *
 * @param {Reader<string[]>} setting
 */
function keywordList({ name, read }) {
  const keywords = read();
  const short = keywords.find((keyword) => /^[\0-\x7f]?$/.test(keyword));
  if (short !== undefined) {
    throw `setting ${name} should have keywords of two letters or more, but has ${JSON.stringify(short)}`;
  }
  return prepared(keywords);
}
