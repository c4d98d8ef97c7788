// How demanding a text is: a sum of shares from 0 to 1, and what it consists of.
import { containsAny, containsWord, find, scalars } from "./words";

// In lower case, each once.
export class Keywords {
  complex: string[] = [];
  simple: string[] = [];
}

export class Score {
  value: f64 = 0;
  length: f64 = 0;
  keywords: f64 = 0.1;
  code: f64 = 0;
  form: f64 = 0;
  // That of the keywords: complex, simple or no.
  kind: string = "no";
  // The complex keywords that occur, in the order of the setting.
  found: string[] = [];
}

// Adds doubles in this order, and they are compared exactly: 0.1 + 0.2 is above 0.3, and must stay so.
export function judge(text: string, keywords: Keywords): Score {
  const lower = text.toLowerCase();
  const score = new Score();
  score.length = lengthShare(text);
  for (let i = 0; i < keywords.complex.length; i++) {
    if (find(lower, keywords.complex[i]) >= 0) score.found.push(keywords.complex[i]);
  }
  if (score.found.length > 0) {
    score.kind = "complex";
    score.keywords = Math.min(<f64>score.found.length * 0.1, 0.3);
  } else if (containsAny(lower, keywords.simple)) {
    score.kind = "simple";
    score.keywords = -0.1;
  }
  if (marksOfCode(text) >= 2) score.code = 0.3;
  const questions = countOf(text, 0x3f);
  if (questions == 1 || questions == 2) score.form = -0.1;
  else if (containsAny(lower, ["create", "build"])) score.form = 0.2;
  score.value = Math.min(Math.max(score.length + score.keywords + score.code + score.form, 0), 1);
  return score;
}

function lengthShare(text: string): f64 {
  const length = scalars(text);
  return length < 100 ? 0.1 : length < 500 ? 0.3 : 0.5;
}

// How many of the seven marks of code there are: brackets, backticks and five words.
function marksOfCode(text: string): i32 {
  let marks = containsAny(text, ["{", "}", "[", "]", "(", ")", ";"]) ? 1 : 0;
  if (find(text, "```") >= 0) marks++;
  const words = ["def", "class", "function", "import", "from"];
  for (let i = 0; i < words.length; i++) {
    if (containsWord(text, words[i])) marks++;
  }
  return marks;
}

function countOf(text: string, unit: i32): i32 {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) == unit) count++;
  }
  return count;
}
