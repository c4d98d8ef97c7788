// Words in a text.
import { isAlpha } from "util/string";

// The zeros of the decimal digits of all scripts of Unicode's first plane; nine more digits follow each.
const ZEROS: u32[] = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
  0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
  0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

// First and last of numbers that are no digits: superscripts, fractions, numbers in circles.
const OTHER_NUMBERS: u32[] = [
  0xb2, 0xb3, 0xb9, 0xb9, 0xbc, 0xbe, 0x9f4, 0x9f9, 0x1369, 0x137c, 0x2070, 0x2070, 0x2074, 0x2079, 0x2080, 0x2089,
  0x2150, 0x215f, 0x2189, 0x2189, 0x2460, 0x249b, 0x24ea, 0x24ff, 0x2776, 0x2793, 0x3192, 0x3195, 0x3220, 0x3229,
  0x3248, 0x324f, 0x3251, 0x325f, 0x3280, 0x3289, 0x32b1, 0x32bf,
];

const UNDERSCORE: u32 = 0x5f;

// Where a word, which is not empty, first occurs from a place on; -1 if it does not. The standard library's `indexOf` compares
// the whole word at every place, which takes too long for a large prompt.
export function find(text: string, word: string, from: i32 = 0): i32 {
  const units = changetype<usize>(text);
  const wanted = changetype<usize>(word);
  const first = load<u16>(wanted);
  for (let at = from; at <= text.length - word.length; at++) {
    const here = units + ((<usize>at) << 1);
    if (load<u16>(here) == first && memory.compare(here, wanted, (<usize>word.length) << 1) == 0) return at;
  }
  return -1;
}

// Whether any of these words occurs.
export function containsAny(text: string, words: string[]): bool {
  for (let i = 0; i < words.length; i++) {
    if (find(text, words[i]) >= 0) return true;
  }
  return false;
}

// Whether a word occurs by itself: no letter, digit or other number of any script, and no underscore is right before or after it.
export function containsWord(text: string, word: string): bool {
  for (let at = find(text, word); at >= 0; at = find(text, word, at + word.length)) {
    if (!isWord(before(text, at)) && !isWord(after(text, at + word.length))) return true;
  }
  return false;
}

// The character that ends at a place; a space if there is none.
function before(text: string, at: i32): u32 {
  if (at == 0) return 0x20;
  const isPair = at > 1 && (text.charCodeAt(at - 1) & 0xfc00) == 0xdc00;
  return text.codePointAt(isPair ? at - 2 : at - 1);
}

// The character that begins at a place; a space if there is none.
function after(text: string, at: i32): u32 {
  return at < text.length ? text.codePointAt(at) : 0x20;
}

function isWord(character: u32): bool {
  if (character == UNDERSCORE || (character >= 0x30 && character <= 0x39) || isAlpha(character)) return true;
  if (character < 0x80) return false;
  for (let i = 0; i < ZEROS.length; i++) {
    if (character >= ZEROS[i] && character <= ZEROS[i] + 9) return true;
  }
  for (let i = 0; i < OTHER_NUMBERS.length; i += 2) {
    if (character >= OTHER_NUMBERS[i] && character <= OTHER_NUMBERS[i + 1]) return true;
  }
  return false;
}

// Unicode scalar values: of a pair of surrogates, only the first counts.
export function scalars(text: string): i32 {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) != 0xdc00) count++;
  }
  return count;
}
