// node schema.mjs FILE...: whether each dashboard is what Grafana's own types say, as dashboard.ts puts them together.
//
// Packages are those of the current folder, where `npm ci` was run with the package.json and package-lock.json from
// beside this file; Node.js 20 or later. Exit codes: 0 all are, 1 one is not, 2 wrong usage or no packages.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bad, good } from './cases.mjs';

const files = process.argv.slice(2);
const packages = join(process.cwd(), 'node_modules');
if (files.length === 0) {
  console.error('usage: node schema.mjs FILE...');
  process.exit(2);
}
if (!existsSync(packages)) {
  console.error(`${packages} is missing: run npm ci in the current folder, with package.json and package-lock.json of schema.mjs`);
  process.exit(2);
}
const require = createRequire(join(packages, '-'));
const { default: Ajv } = require('ajv');
const ts = require('typescript');
const { createFormatter, createParser, DEFAULT_CONFIG, SchemaGenerator } = require('ts-json-schema-generator');

const generator = fromTypes(fileURLToPath(new URL('dashboard.ts', import.meta.url)));
const isDashboard = validator('Dashboard');
const isOverridden = validator('Overridden');
testItself();

let wrong = false;
for (const file of files) {
  for (const fault of faults(JSON.parse(readFileSync(file, 'utf8')))) {
    wrong = true;
    console.error(`${file}: ${fault}`);
  }
}
process.exit(wrong ? 1 : 0);

/** What is wrong with a dashboard, a line each. */
function faults(dashboard) {
  if (!isDashboard(dashboard)) return said(isDashboard.errors);
  return dashboard.panels.flatMap(({ title, type, fieldConfig }) =>
    (fieldConfig?.overrides ?? [])
      .flatMap(({ properties }) => properties)
      .flatMap(({ id, value }) => {
        const fields = id.split('.').reduceRight((inner, name) => ({ [name]: inner }), value);
        return isOverridden({ [type]: fields }) ? [] : said(isOverridden.errors, `override in '${title}': `);
      }),
  );
}

function said(errors, where = '') {
  return errors.map(({ instancePath, message, params }) => `${where}${instancePath || '/'} ${message} ${JSON.stringify(params)}`);
}

/** A check that accepts everything, or nothing, must not pass for one. */
function testItself() {
  const found = faults(good);
  if (found.length > 0) throw new Error(`the schema refuses a good dashboard: ${found.join('; ')}`);
  for (const [what, spoil] of Object.entries(bad)) {
    const dashboard = structuredClone(good);
    if (faults(spoil(dashboard) ?? dashboard).length === 0) throw new Error(`the schema accepts a dashboard with ${what}`);
  }
}

function validator(type) {
  return new Ajv({ allErrors: true, strict: false }).compile(generator.createSchema(type));
}

function fromTypes(file) {
  const grafana = join(packages, '@grafana/schema/dist/types');
  const program = ts.createProgram([file], {
    strict: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    skipLibCheck: true,
    types: [],
    paths: { '@grafana/schema': [join(grafana, 'index.d.ts')], '@grafana/schema/*': [join(grafana, '*')] },
  });
  // A type that is not found would be one that allows everything.
  const errors = ts.getPreEmitDiagnostics(program);
  if (errors.length > 0) throw new Error(ts.flattenDiagnosticMessageText(errors[0].messageText, '\n'));
  // Panels' option types are all called `Options`: written where they are used, not under their name.
  const config = { ...DEFAULT_CONFIG, expose: 'none', jsDoc: 'basic' };
  return new SchemaGenerator(program, createParser(program, config), createFormatter(config), config);
}
