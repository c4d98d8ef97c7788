// @ts-check
// How demanding a text is: a sum of four shares, from 0 to 1. Doubles are added in this order and compared exactly:
// 0.1 + 0.2 is above 0.3, and must stay so.
import { lowerCase, wholeWord } from './letters.js';

/**
 * A judgement and what it is made of.
 *
 * @typedef {object} Score
 * @property {number} value The sum, brought into 0 to 1.
 * @property {number} length The text's length.
 * @property {number} keywords The keywords in it.
 * @property {'complex' | 'simple' | 'no'} kind What those keywords are.
 * @property {string[]} found The complex ones, in the order of the setting.
 * @property {number} code Whether it looks like code.
 * @property {number} form Whether it is a question or asks to make something.
 */

/**
 * Keywords in lower case, each once.
 *
 * @typedef {{ complex: string[], simple: string[] }} Keywords
 */

const CODE_WORDS = ['def', 'class', 'function', 'import', 'from'].map((word) => ({ word, alone: wholeWord(word) }));

const BRACKETS = [...'{}[]();'];

/** The first unit of a scalar value that has two. */
const FIRST_OF_TWO = /[\ud800-\udbff]/;

/**
 * @param {string[]} keywords
 * @returns {string[]} Ready to be looked for.
 */
export function prepared(keywords) {
  return [...new Set(keywords.map(lowerCase))];
}

/**
 * @param {string} text
 * @param {Keywords} keywords
 * @returns {Score}
 */
export function judge(text, keywords) {
  const lower = lowerCase(text);
  const occurs = (/** @type {string} */ keyword) => lower.includes(keyword);

  const length = lengthShare(text);
  const found = keywords.complex.filter(occurs);
  const kind = found.length > 0 ? 'complex' : keywords.simple.some(occurs) ? 'simple' : 'no';
  const keywordShare = { complex: Math.min(found.length * 0.1, 0.3), simple: -0.1, no: 0.1 }[kind];
  const code = marksOfCode(text) >= 2 ? 0.3 : 0;
  const form = isQuestion(text) ? -0.1 : occurs('create') || occurs('build') ? 0.2 : 0;

  const sum = length + keywordShare + code + form;
  return { value: Math.min(Math.max(sum, 0), 1), length, keywords: keywordShare, kind, found, code, form };
}

/**
 * By Unicode scalar values, of which strings hold one in one or two units.
 *
 * @param {string} text
 */
function lengthShare(text) {
  const units = Math.min(text.length, 1000);
  const scalars = units < 1000 && FIRST_OF_TWO.test(text) ? [...text].length : units;
  return scalars < 100 ? 0.1 : scalars < 500 ? 0.3 : 0.5;
}

/**
 * How many of the seven marks of code there are: brackets, backticks and five words.
 *
 * @param {string} text
 */
function marksOfCode(text) {
  const brackets = BRACKETS.some((bracket) => text.includes(bracket));
  const backticks = text.includes('```');
  // Looking for the letters first is cheap, and mostly settles it.
  const words = CODE_WORDS.filter(({ word, alone }) => text.includes(word) && alone.test(text));
  return Number(brackets) + Number(backticks) + words.length;
}

/**
 * Whether there are one or two question marks.
 *
 * @param {string} text
 */
function isQuestion(text) {
  const first = text.indexOf('?');
  const second = first < 0 ? -1 : text.indexOf('?', first + 1);
  return first >= 0 && (second < 0 || !text.includes('?', second + 1));
}
