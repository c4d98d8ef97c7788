// What a test reads of the page: every text that a panel shows, on canvases too. `report` waits for the page to be drawn.

const written = new WeakMap();
const { clearRect, fillText } = CanvasRenderingContext2D.prototype;
Object.assign(CanvasRenderingContext2D.prototype, {
  clearRect(...rectangle) {
    written.delete(this.canvas);
    clearRect.apply(this, rectangle);
  },
  fillText(text, ...place) {
    written.set(this.canvas, [...(written.get(this.canvas) ?? []), text]);
    fillText.call(this, text, ...place);
  },
});

const trimmed = (texts) => texts.map((text) => text.trim()).filter((text) => text !== '');
const within = (element, selector) => [...element.querySelectorAll(selector)];

/** The cells of a table, by column. */
function columns(panel) {
  const names = within(panel, '[role=columnheader]').map(({ innerText, ariaColIndex }) => [ariaColIndex, innerText.trim()]);
  return Object.fromEntries(names.map(([index, name]) =>
    [name, within(panel, `[role=gridcell][aria-colindex="${index}"]`).map(({ innerText }) => innerText.trim())]));
}

const seen = (panel) => ({
  title: panel.dataset.panel,
  kind: panel.dataset.kind,
  lines: trimmed(panel.innerText.split(/[\n\t]/)),
  axes: trimmed(within(panel, 'canvas').flatMap((canvas) => written.get(canvas) ?? [])),
  values: trimmed(within(panel, '[data-value]').map(({ innerText }) => innerText.replace(/\n/g, ' '))),
  slices: within(panel, 'path > title').map(({ textContent }) => textContent),
  columns: columns(panel),
});

const now = () => ({
  width: innerWidth,
  caption: document.querySelector('.caption')?.innerText ?? '',
  variables: within(document, '[data-variable]').map(({ innerText, dataset }) => ({ text: innerText, values: Number(dataset.values) })),
  headings: within(document, '.grid > h2').map(({ innerText }) => innerText.trim()),
  panels: within(document, '[data-panel]').map(seen),
});

/** What the page shows when it does not change any more. */
globalThis.report = async () => {
  await document.fonts.ready;
  let [before, text] = ['', ' '];
  for (let rounds = 0; rounds < 100 && before !== text; rounds += 1) {
    before = text;
    await new Promise((resolve) => setTimeout(resolve, 300));
    text = JSON.stringify(now());
  }
  return text;
};
