// node logql.mjs <FILE: whether each line of FILE is a LogQL query, by the grammar that Grafana's editor uses. It says what is
// of the language, not whether Loki has such a label.
//
// Packages are those of the current folder, as for schema.mjs. Exit codes: 0 all are, 1 one is not, 2 no query or no packages.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const packages = join(process.cwd(), 'node_modules');
const queries = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
if (queries.length === 0 || !existsSync(join(packages, '@grafana/lezer-logql'))) {
  console.error(`no query, or no @grafana/lezer-logql in ${packages}: run npm ci there, with package.json and package-lock.json`);
  process.exit(2);
}
const { parser } = createRequire(join(packages, '-'))('@grafana/lezer-logql');

// A grammar that accepts everything must not pass for one.
for (const query of ['{job="a"', '{job="a"} | json | a==', '{job="a"} |= b', '{job="a"} | line_format', 'rate({job="a"})[5m]', 'up']) {
  if (fault(query) === undefined) throw new Error(`the grammar accepts ${query}`);
}
let wrong = false;
for (const query of queries) {
  const at = fault(query);
  if (at === undefined) continue;
  wrong = true;
  console.error(`no LogQL from character ${at} on: ${query}`);
}
process.exit(wrong ? 1 : 0);

/** Where a text ends to be a query of log lines. */
function fault(query) {
  let at;
  let selects = false;
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) at ??= node.from;
      selects ||= node.name === 'Selector';
    },
  });
  return at ?? (selects ? undefined : 0);
}
