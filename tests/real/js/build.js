// build.js POLICY WIT OUTPUT: makes a component of a routing policy in JavaScript.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [policy, witPath, output] = process.argv.slice(2);
const { component } = await componentize(await readFile(policy, 'utf8'), {
  witPath,
  worldName: 'routing-policy',
  // What policies are not granted.
  disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'],
});
await writeFile(`${output}.new`, component);
await rename(`${output}.new`, output);
