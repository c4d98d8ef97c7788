// The routing hook: small models for simple prompts, the most capable one for design and code, and only local ones for what is
// confidential.
import { deny, pass, route } from "./contract/answers";
import { Meaning, Means, Reads, Setting, Tier, described, label } from "./contract/host";
import { Breaker, Call, Candidate, Capability, Health, Location, Request } from "./contract/types";
import { Keywords, Score, judge } from "./score";
import { number, outside, read, readNumber, shown, text, texts } from "./settings";

const LOW_BELOW = number("low-below", "Scores below this, from 0 to 1, are low.", 0, 1, 0.3);
const HIGH_ABOVE = number(
  "high-above",
  "Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
  0,
  1,
  0.6,
);
const LOW_MODELS = texts(
  "low-models",
  "Models for low scores, the first choice first. Low, medium and high models in a row go from the least to the most " +
    "capable: fallbacks go up that row first, then down.",
  ["tinyllama"],
  ofTier(Tier.Low),
);
const MEDIUM_MODELS = texts(
  "medium-models",
  "Models for medium scores, the first choice first.",
  ["phi2"],
  ofTier(Tier.Medium),
);
const HIGH_MODELS = texts(
  "high-models",
  "Models for high scores, the first choice first.",
  ["claude-sonnet"],
  ofTier(Tier.High),
);
const COMPLEX_KEYWORDS = texts(
  "complex-keywords",
  "Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
  [
    "analyze", "design", "architect", "implement", "refactor", "optimize", "debug", "explain in detail",
    "comprehensive", "write code", "create function", "build", "develop",
  ],
);
const SIMPLE_KEYWORDS = texts(
  "simple-keywords",
  "Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
  [
    "summarize", "list", "what is", "define", "yes or no", "classify", "categorize", "is this", "true or false",
  ],
);
const CONFIDENTIAL_LABEL = text(
  "confidential-label",
  'The label that says "true" where only local models may see the request.',
  "x-confidential",
  new Meaning(Means.Labels),
);

// How many of the complex keywords that occur the reason names.
const NAMED_KEYWORDS = 5;

// What `configure` made of the settings.
let lowBelow: f64 = 0;
let highAbove: f64 = 0;
// In a row, from the least to the most capable, and where in it each tier's begin.
let models: string[] = [];
const begins: i32[] = [0, 0, 0];
const keywords = new Keywords();
let confidentialLabel = "";

// The meaning of a setting that names the models of a tier.
function ofTier(tier: Tier): Meaning {
  return new Meaning(Means.Tier, 0, 0, tier);
}

export function describeRouting(name: string, version: string): usize {
  const summary = "Small models for simple prompts, the most capable one for design and code.";
  return described(name, version, summary, Reads.Newest, true, [
    LOW_BELOW, HIGH_ABOVE, LOW_MODELS, MEDIUM_MODELS, HIGH_MODELS, COMPLEX_KEYWORDS, SIMPLE_KEYWORDS,
    CONFIDENTIAL_LABEL,
  ]);
}

// Prepares the instance. Returns why it refuses the settings; an empty text if it does not.
export function configureRouting(): string {
  confidentialLabel = read(CONFIDENTIAL_LABEL).text;
  const refusals = [
    outside(LOW_BELOW, "a number"), outside(HIGH_ABOVE, "a number"), readThresholds(), readModels(),
    readKeywords(COMPLEX_KEYWORDS, keywords.complex), readKeywords(SIMPLE_KEYWORDS, keywords.simple),
  ];
  for (let i = 0; i < refusals.length; i++) {
    if (refusals[i].length > 0) return refusals[i];
  }
  return "";
}

function readThresholds(): string {
  lowBelow = readNumber(LOW_BELOW);
  highAbove = readNumber(HIGH_ABOVE);
  if (lowBelow <= highAbove) return "";
  return `setting low-below should be at most high-above (${shown(highAbove)}), but is ${shown(lowBelow)}`;
}

function readModels(): string {
  models = [];
  const tiers = [LOW_MODELS, MEDIUM_MODELS, HIGH_MODELS];
  for (let tier = 0; tier < tiers.length; tier++) {
    begins[tier] = models.length;
    models = models.concat(read(tiers[tier]).texts);
  }
  if (models.length == 0) return "setting high-models should name at least one model, as no tier has one";
  for (let i = 1; i < models.length; i++) {
    if (models.indexOf(models[i]) < i) {
      return `settings low-models, medium-models and high-models should name each model once, but name "${models[i]}" twice`;
    }
  }
  return "";
}

// Each keyword once and in lower case. One of a single byte would occur nearly everywhere.
function readKeywords(setting: Setting, prepared: string[]): string {
  const given = read(setting).texts;
  prepared.length = 0;
  for (let i = 0; i < given.length; i++) {
    if (String.UTF8.byteLength(given[i]) < 2) {
      return `setting ${setting.name} should have keywords of two letters or more, but has "${given[i]}"`;
    }
    const lower = given[i].toLowerCase();
    if (!prepared.includes(lower)) prepared.push(lower);
  }
  return "";
}

export function decide(call: Call): usize {
  const request = call.request;
  if (request.requested) return pass();
  const score = judge(call.prompt.newest, keywords);
  const tier = score.value < lowBelow ? Tier.Low : score.value > highAbove ? Tier.High : Tier.Medium;
  const confidential = label(confidentialLabel) == "true";
  const wanted = ranked(tier, call.candidates, confidential);
  if (wanted.length == 0) {
    return deny("no_local_model", "the request is confidential and no local model is offered");
  }
  const ranking = ableFirst(wanted, call);
  let reason = explained(score);
  if (ranking[0] != wanted[0]) {
    const passedOver = call.candidates[wanted[0]];
    reason += `; ${passedOver.model.name} would be first but ${obstacle(request, passedOver)}`;
  }
  if (confidential) reason += "; confidential";
  return route(ranking, score.value, tier, reason);
}

// The candidates in the tier's order; only the local ones if the request is confidential.
function ranked(tier: Tier, candidates: Candidate[], confidential: bool): u32[] {
  const indexes: u32[] = [];
  const places: i32[] = [];
  for (let i = 0; i < candidates.length; i++) {
    if (confidential && candidates[i].model.location != Location.Local) continue;
    const place = placeOf(tier, candidates[i].model.name);
    // Behind all of the same place, so that they stay in the given order.
    let at = places.length;
    while (at > 0 && places[at - 1] > place) at--;
    insert(places, at, place);
    insert(indexes, at, <u32>i);
  }
  return indexes;
}

// Puts an item into a list.
function insert<T>(list: T[], at: i32, item: T): void {
  list.push(item);
  for (let i = list.length - 1; i > at; i--) list[i] = list[i - 1];
  list[at] = item;
}

// Up the row from the tier's first model, then down from there, then all that the settings do not name.
function placeOf(tier: Tier, model: string): i32 {
  const at = models.indexOf(model);
  const begin = begins[tier];
  return at < 0 ? models.length + 1 : at >= begin ? at - begin : models.length - at;
}

// The ranking with the candidates that have an obstacle at its end.
function ableFirst(ranking: u32[], call: Call): u32[] {
  const able: u32[] = [];
  const unable: u32[] = [];
  for (let i = 0; i < ranking.length; i++) {
    const isAble = obstacle(call.request, call.candidates[ranking[i]]).length == 0;
    (isAble ? able : unable).push(ranking[i]);
  }
  return able.concat(unable);
}

// What keeps a candidate from answering, in words that follow its name; empty if nothing does.
function obstacle(request: Request, candidate: Candidate): string {
  const tokens = <u64>request.promptTokens + (request.hasMaxTokens ? <u64>request.maxTokens : 0);
  if (candidate.health == Health.Down) return "is down";
  if (candidate.breaker == Breaker.Open) return "has an open breaker";
  const model = candidate.model;
  if (model.hasContextWindow && tokens > model.contextWindow) return "has too small a context window";
  if (request.tools && !(model.capabilities & Capability.Tools)) return "cannot call tools";
  if (request.images && !(model.capabilities & Capability.Images)) return "cannot read images";
  if (request.structuredOutput && !(model.capabilities & Capability.StructuredOutput)) {
    return "cannot be held to an output format";
  }
  return "";
}

// What a score consists of. The keywords in it are the operator's; nothing of the prompt is.
function explained(score: Score): string {
  let words = `${score.kind} keywords ${signed(score.keywords)}`;
  if (score.found.length > 0) {
    const named = score.found.slice(0, NAMED_KEYWORDS);
    if (score.found.length > NAMED_KEYWORDS) named.push("…");
    words += ` (${named.join(", ")})`;
  }
  // By way of whole hundredths, so that halves are rounded up.
  const hundredths = <i32>(score.value * 100 + 0.5);
  const decimals = (hundredths % 100).toString().padStart(2, "0");
  let reason = `score ${hundredths / 100}.${decimals}: length ${signed(score.length)}, ${words}`;
  if (score.code != 0) reason += `, code ${signed(score.code)}`;
  if (score.form != 0) reason += `, ${score.form < 0 ? "question" : "creation"} ${signed(score.form)}`;
  return reason;
}

// A share as people read it, in tenths.
function signed(share: f64): string {
  return `${share < 0 ? "-" : "+"}0.${<i32>Math.round(Math.abs(share) * 10)}`;
}
