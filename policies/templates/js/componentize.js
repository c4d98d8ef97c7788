// componentize.js SOURCE WIT WORLD OUTPUT: makes a component of a policy in JavaScript. build.sh runs it.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';
// By its path in the pinned package, which exports only `componentize`.
import { splicer } from './node_modules/@bytecodealliance/componentize-js/lib/spidermonkey-embedding-splicer.js';

// The bindings that componentize-js writes look for grown memory at every field that they read or write, and measure texts
// letter by letter, which takes most of the time of a short call. It is enough to look where memory can have grown: when a
// call begins, and after each allocation and import.
const { spliceBindings } = splicer;
splicer.spliceBindings = (...args) => {
  const spliced = spliceBindings(...args);
  const quicker = [
    ['dataView($memory)', 'dv'],
    ['$memory.buffer', 'dataView($memory).buffer'],
    [/function export_.*\{$/gm, '$&\n  dataView($memory);'],
    [/^.* = \$(realloc|import_.*)\(.*\);$/gm, '$& dataView($memory);'],
    [
      /^.*if \(s\.length === 0\).*$/gm,
      `$&
  const bytes = TEXT_ENCODER_UTF8.encode(s);
  const at = realloc(0, 0, 1, bytes.length);
  new Uint8Array(dataView(memory).buffer, at, bytes.length).set(bytes);
  return { ptr: at, len: bytes.length };`,
    ],
  ];
  for (const [found, replacement] of quicker) {
    const before = spliced.jsBindings;
    spliced.jsBindings = before.replaceAll(found, replacement);
    if (spliced.jsBindings === before) throw new Error(`the bindings of componentize-js no longer have ${found}`);
  }
  return spliced;
};

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
