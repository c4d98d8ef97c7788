// @ts-check
// Settings: what one is called, what it means, what it may be, its default and its reader, in one place. A value that
// will not do is refused with a sentence that names the setting, what it should be and what it is.
import { get } from 'wasmgate:policy/settings@2.0.0';

/** @import { Meaning, Setting, Value } from 'wasmgate:policy/types@2.0.0' */

/** @type {Meaning} */
const PLAIN = { tag: 'plain' };

/**
 * @template T
 * @typedef {object} Reader
 * @property {string} name
 * @property {Setting} entry Its line in the manifest.
 * @property {() => T} read The operator's value or the default. Throws a sentence where it will not do.
 */

/**
 * A setting that is a whole number within a range.
 *
 * @param {string} name
 * @param {string} summary
 * @param {[min: number, max: number]} range Both ends are allowed.
 * @param {number} usual The default.
 * @returns {Reader<number>}
 */
export function wholeNumber(name, summary, [min, max], usual) {
  /** @param {Value} value */
  const take = (value) => {
    if (value.tag === 'integer' && value.val >= min && value.val <= max) return Number(value.val);
    throw refusal(name, `a whole number from ${min} to ${max}`, value);
  };
  return reader(name, summary, { tag: 'integer', val: BigInt(usual) }, { tag: 'range', val: [min, max] }, take);
}

/**
 * A setting that is any number within a range.
 *
 * @param {string} name
 * @param {string} summary
 * @param {[min: number, max: number]} range Both ends are allowed.
 * @param {number} usual The default.
 * @returns {Reader<number>}
 */
export function number(name, summary, [min, max], usual) {
  /** @param {Value} value */
  const take = (value) => {
    // An operator may write a whole number as well.
    const given = value.tag === 'number' || value.tag === 'integer' ? Number(value.val) : NaN;
    if (given >= min && given <= max) return given;
    throw refusal(name, `a number from ${min} to ${max}`, value);
  };
  return reader(name, summary, { tag: 'number', val: usual }, { tag: 'range', val: [min, max] }, take);
}

/**
 * A setting that is any text.
 *
 * @param {string} name
 * @param {string} summary
 * @param {string} usual The default.
 * @param {Meaning} [meaning] What it names, if it does: models or labels.
 * @returns {Reader<string>}
 */
export function text(name, summary, usual, meaning = PLAIN) {
  /** @param {Value} value */
  const take = (value) => {
    if (value.tag === 'text') return value.val;
    throw refusal(name, 'a text', value);
  };
  return reader(name, summary, { tag: 'text', val: usual }, meaning, take);
}

/**
 * A setting that is a list of texts.
 *
 * @param {string} name
 * @param {string} summary
 * @param {string[]} usual The default.
 * @param {Meaning} [meaning] What they name, if they do: models, those of a tier, or labels.
 * @returns {Reader<string[]>}
 */
export function texts(name, summary, usual, meaning = PLAIN) {
  /** @param {Value} value */
  const take = (value) => {
    if (value.tag === 'texts') return value.val;
    throw refusal(name, 'a list of texts', value);
  };
  return reader(name, summary, { tag: 'texts', val: usual }, meaning, take);
}

/**
 * @template T
 * @param {string} name
 * @param {string} summary
 * @param {Value} usual
 * @param {Meaning} meaning
 * @param {(value: Value) => T} take
 * @returns {Reader<T>}
 */
function reader(name, summary, usual, meaning, take) {
  return { name, entry: { name, summary, default: usual, meaning }, read: () => take(get(name) ?? usual) };
}

/**
 * The sentence that refuses a setting: `setting low-below should be a number from 0 to 1, but is 1.5`.
 *
 * @param {string} name
 * @param {string} should
 * @param {Value} value
 */
function refusal(name, should, value) {
  return `setting ${name} should be ${should}, but is ${shown(value)}`;
}

/** @param {Value} value */
function shown(value) {
  if (value.tag === 'texts') return `[${value.val.map((each) => JSON.stringify(each)).join(', ')}]`;
  return value.tag === 'text' ? JSON.stringify(value.val) : String(value.val);
}
