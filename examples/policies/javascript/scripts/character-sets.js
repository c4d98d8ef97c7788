// character-sets.js >src/character-sets.js: writes the tables of Unicode that the policy needs, as of the Node.js that
// runs this. The engine inside the component is built without: it does not know \p{…} in regular expressions.
const SETS = {
  WORD: ['Letters, digits, other numbers and the underscore.', /[\p{Alphabetic}\p{N}_]/v],
  CASE_IGNORABLE: ['What may stand within a word beside letters: accents, apostrophes.', /\p{Case_Ignorable}/v],
  CASED: ['The other letters that have a case.', /[\p{Cased}--\p{Case_Ignorable}]/v],
};

console.log('// Made by scripts/character-sets.js. Unicode %s.', process.versions.unicode);
console.log('// Where a set begins and where it ends, by turns, each as the distance from the one before, in base 36.');
for (const [name, [summary, pattern]] of Object.entries(SETS)) {
  const lines = distances(pattern).join(' ').match(/.{1,112}(?: |$)/g) ?? [];
  console.log(`\n/** ${summary} */\nexport const ${name} =`);
  console.log('%s;', lines.map((line) => `  '${line}'`).join(' +\n'));
}

/** @param {RegExp} pattern */
function distances(pattern) {
  const found = [];
  let last = 0;
  let inside = false;
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += 1) {
    if (pattern.test(String.fromCodePoint(codePoint)) !== inside) {
      found.push((codePoint - last).toString(36));
      last = codePoint;
      inside = !inside;
    }
  }
  return found;
}
