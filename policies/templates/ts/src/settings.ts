// Settings: what one is called, what it means, what it may be, its default and its reader, in one place. A value that
// will not do is refused with a sentence that names the setting, what it should be and what it is.
import { get } from 'wasmgate:policy/settings@2.0.0';
import type { Meaning, Setting, Value } from 'wasmgate:policy/types@2.0.0';

const PLAIN: Meaning = { tag: 'plain' };

export interface Reader<T> {
  name: string;
  /** Its line in the manifest. */
  entry: Setting;
  /** The operator's value or the default. Throws a sentence where it will not do. */
  read: () => T;
}

/** A setting that is a whole number within a range, both ends included. */
export function wholeNumber(name: string, summary: string, [min, max]: [number, number], initial: number): Reader<number> {
  return reader(name, summary, { tag: 'integer', val: BigInt(initial) }, { tag: 'range', val: [min, max] }, (value) => {
    if (value.tag === 'integer' && value.val >= min && value.val <= max) return Number(value.val);
    throw refusal(name, `a whole number from ${min} to ${max}`, value);
  });
}

/** A setting that is any number within a range, both ends included. */
export function number(name: string, summary: string, [min, max]: [number, number], initial: number): Reader<number> {
  return reader(name, summary, { tag: 'number', val: initial }, { tag: 'range', val: [min, max] }, (value) => {
    // An operator may write a whole number as well.
    const given = value.tag === 'number' || value.tag === 'integer' ? Number(value.val) : NaN;
    if (given >= min && given <= max) return given;
    throw refusal(name, `a number from ${min} to ${max}`, value);
  });
}

/** A setting that is any text. `meaning` says what it names, if it does: models or labels. */
export function text(name: string, summary: string, initial: string, meaning = PLAIN): Reader<string> {
  return reader(name, summary, { tag: 'text', val: initial }, meaning, (value) => {
    if (value.tag === 'text') return value.val;
    throw refusal(name, 'a text', value);
  });
}

/** A setting that is a list of texts. `meaning` says what they name, if they do: models, those of a tier, or labels. */
export function texts(name: string, summary: string, initial: string[], meaning = PLAIN): Reader<string[]> {
  return reader(name, summary, { tag: 'texts', val: initial }, meaning, (value) => {
    if (value.tag === 'texts') return value.val;
    throw refusal(name, 'a list of texts', value);
  });
}

function reader<T>(
  name: string,
  summary: string,
  initial: Value,
  meaning: Meaning,
  take: (value: Value) => T,
): Reader<T> {
  return { name, entry: { name, summary, default: initial, meaning }, read: () => take(get(name) ?? initial) };
}

// The sentence that refuses a setting: `setting low-below should be a number from 0 to 1, but is 1.5`.
function refusal(name: string, should: string, value: Value): string {
  return `setting ${name} should be ${should}, but is ${shown(value)}`;
}

function shown(value: Value): string {
  if (value.tag === 'texts') return `[${value.val.map((each) => JSON.stringify(each)).join(', ')}]`;
  return value.tag === 'text' ? JSON.stringify(value.val) : String(value.val);
}
