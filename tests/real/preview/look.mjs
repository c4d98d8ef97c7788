// node look.mjs PAGE FOLDER PROFILE WIDTH: opens the page in Chromium, with no network, in a window of that width in CSS
// pixels. Writes a picture of each dashboard to FOLDER/UID.webp, and to standard output as JSON what the page reports of
// itself (report.js) with `failures`: every exception, refused load, warning and error of the console. PROFILE is an empty
// folder. Exit codes: 0 written, 1 the page is not shown, 2 wrong usage.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [page, folder, profile, width] = process.argv.slice(2);
if (!(Number(width) > 0)) {
  console.error('usage: node look.mjs PAGE FOLDER PROFILE WIDTH');
  process.exit(2);
}
// Of a whole run.
const SECONDS = 120;
setTimeout(() => end(`the page is not shown after ${SECONDS} seconds`), SECONDS * 1000).unref();

const chromium = spawn('chromium', [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--hide-scrollbars',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-pipe',
  `--user-data-dir=${profile}`, 'about:blank',
], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
chromium.on('error', end);
chromium.on('exit', () => end('Chromium ended'));
const [, , , commands, answers] = chromium.stdio;

const waiting = new Map();
const failures = [];
let [last, rest, loaded] = [0, '', () => {}];
answers.setEncoding('utf8').on('data', (part) => {
  const messages = (rest + part).split('\0');
  rest = messages.pop();
  messages.map(JSON.parse).forEach(take);
});

function take({ id, error, result, method, params }) {
  if (id !== undefined) {
    const { fulfil, reject } = waiting.get(id);
    return error ? reject(new Error(error.message)) : fulfil(result);
  }
  if (method === 'Page.loadEventFired') loaded();
  if (method === 'Runtime.exceptionThrown') failures.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
  if (method === 'Log.entryAdded' && params.entry.level !== 'verbose' && params.entry.level !== 'info') failures.push(params.entry.text);
  if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) {
    failures.push(`console.${params.type}: ${params.args.map(({ value, description }) => value ?? description).join(' ')}`);
  }
}

let sessionId;
const send = (method, params = {}) => new Promise((fulfil, reject) => {
  last += 1;
  waiting.set(last, { fulfil, reject });
  commands.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
});

async function evaluate(expression) {
  const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

function end(error) {
  chromium.removeAllListeners('exit');
  chromium.kill('SIGKILL');
  if (error) console.error(`look.mjs: ${error.stack ?? error}`);
  process.exit(error ? 1 : 0);
}

try {
  const { targetInfos } = await send('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page');
  ({ sessionId } = await send('Target.attachToTarget', { targetId, flatten: true }));
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  await send('Network.emulateNetworkConditions', { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  const size = (height) => send('Emulation.setDeviceMetricsOverride', { width: Number(width), height, deviceScaleFactor: 1, mobile: false });
  await size(1000);
  const done = new Promise((fulfil) => (loaded = fulfil));
  await send('Page.navigate', { url: pathToFileURL(resolve(page)).href });
  await done;
  // Tables are drawn where a window shows them: it shows the whole page.
  await evaluate('report()');
  await size(await evaluate('document.documentElement.scrollHeight'));
  const report = JSON.parse(await evaluate('report()'));
  const places = JSON.parse(await evaluate(
    `JSON.stringify([...document.querySelectorAll('.dashboard')].map((one) => { const { x, y, width, height } = one.getBoundingClientRect(); return { uid: one.id, x, y: y + scrollY, width, height }; }))`));
  for (const { uid, ...place } of places) {
    const { data } = await send('Page.captureScreenshot', { format: 'webp', quality: 80, clip: { ...place, scale: 1 } });
    writeFileSync(join(folder, `${uid}.webp`), Buffer.from(data, 'base64'));
  }
  process.stdout.write(JSON.stringify({ ...report, failures }), () => end());
} catch (error) {
  end(error);
}
