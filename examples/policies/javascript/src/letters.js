// @ts-check
// What the engine does not know of letters, as it is built without most tables of Unicode.
import * as sets from './character-sets.js';

const WORD = characterClass(sets.WORD);
const CASED = characterClass(sets.CASED);
const CASE_IGNORABLE = characterClass(sets.CASE_IGNORABLE);

/** A capital sigma that ends a word: a cased letter comes before it and none after it. */
const FINAL_SIGMA = new RegExp(`(?<=${CASED}${CASE_IGNORABLE}*)Σ(?!${CASE_IGNORABLE}*${CASED})`, 'gu');

/**
 * As `toLowerCase` is elsewhere. This engine's does not look at a letter's neighbours, which matters to one letter.
 *
 * @param {string} text
 */
export function lowerCase(text) {
  // Expressions are slow here: this engine interprets them.
  return (text.includes('Σ') ? text.replace(FINAL_SIGMA, 'ς') : text).toLowerCase();
}

/**
 * An expression that finds a word by itself: no letter, digit or other number of any script, and no underscore is on
 * either side.
 *
 * @param {string} word
 */
export function wholeWord(word) {
  // What is before the word is looked at once the word is there, as that is rare.
  return new RegExp(`${word}(?<!${WORD}${word})(?!${WORD})`, 'u');
}

/**
 * A set as a class of regular expressions.
 *
 * @param {string} distances
 */
function characterClass(distances) {
  let at = 0;
  const bounds = distances.split(' ').map((distance) => (at += parseInt(distance, 36)));
  const escaped = (/** @type {number} */ codePoint) => `\\u{${codePoint.toString(16)}}`;
  const ranges = bounds.map((bound, index) => (index % 2 === 0 ? escaped(bound) : `-${escaped(bound - 1)}`));
  return `[${ranges.join('')}]`;
}
