// node bundle.mjs: writes the page of the dashboards' preview to standard output, without its data.
//
// Packages are those of the current folder, where `npm ci` was run with the package.json and package-lock.json of this
// folder. Exit codes: 0 written, 1 the page cannot be built, 2 no packages.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = join(process.cwd(), 'node_modules');
if (!existsSync(packages)) {
  console.error(`${packages} is missing: run npm ci in the current folder, with package.json and package-lock.json of bundle.mjs`);
  process.exit(2);
}
const esbuild = createRequire(join(packages, '-'))('esbuild');
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** What the packages would fetch from Grafana's server, and what no panel uses: the page loads nothing. */
const offline = {
  name: 'offline',
  setup({ onLoad, onResolve }) {
    // The editor of code cells is larger than all else together.
    onResolve({ filter: /^monaco-editor/ }, () => ({ path: 'none', namespace: 'none' }));
    onLoad({ filter: /./, namespace: 'none' }, () => ({ contents: '' }));
    // Fonts at addresses of the server: page.css has the font instead.
    onLoad({ filter: /GlobalStyles\/fonts\.mjs$/ }, () => ({ contents: 'export const getFontStyles = () => [];' }));
    onResolve({ filter: /^icons:all$/ }, () => ({ path: 'all', namespace: 'icons' }));
    onLoad({ filter: /./, namespace: 'icons' }, () => ({ contents: JSON.stringify(icons()), loader: 'json' }));
  },
};

function icons() {
  const folder = join(packages, '@grafana/ui/dist/public/img/icons');
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.svg'));
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

const { outputFiles } = await esbuild
  .build({
    entryPoints: [here('page.jsx')],
    outfile: 'page.js',
    write: false,
    bundle: true,
    minify: true,
    format: 'iife',
    jsx: 'automatic',
    nodePaths: [packages],
    define: { 'process.env.NODE_ENV': '"production"' },
    loader: { '.woff2': 'dataurl', '.ttf': 'empty' },
    plugins: [offline],
    logLevel: 'error',
  })
  .catch(() => process.exit(1));

const part = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
const page = readFileSync(here('page.html'), 'utf8')
  .replace('/*STYLE*/', () => part('.css'))
  .replace('/*SCRIPT*/', () => part('.js'));
process.stdout.write(page);
