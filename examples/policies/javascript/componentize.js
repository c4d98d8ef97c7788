// componentize.js SOURCE WIT WORLD OUTPUT: makes a component of a policy in JavaScript. build.sh runs it.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, witPath, worldName, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName,
  // What policies are not granted. Printing they are: it ends up in the gateway's log, and so does what the engine says
  // of an error that nobody caught.
  disableFeatures: ['random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(output, component);
