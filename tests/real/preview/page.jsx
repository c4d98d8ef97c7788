// The page: both dashboards in Grafana's grid, drawn from the data that the page carries.

import { ThemeContext, applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime, transformDataFrame } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome } from '@grafana/ui';
import { Component, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import './icons.js';
import './report.js';
import { frames } from './frames.js';
import './page.css';
import { Empty, kinds } from './panels.jsx';
import { settings } from './registries.js';

// Grafana's grid: 24 columns, units of 30 px height, 8 px between panels; one column where the window is narrow.
const [COLUMNS, UNIT, GAP, NARROW] = [24, 30, 8, 768];
const PAGE_MARGIN = 16;
const timeZone = 'browser';
const theme = createTheme({ colors: { mode: 'dark' } });
const data = JSON.parse(document.getElementById('data').textContent);
const [from, to] = [data.from, data.to].map((seconds) => dateTime(seconds * 1000));
const timeRange = { from, to, raw: { from, to } };
const registries = Object.fromEntries(Object.entries(kinds).map(([kind, { defaults }]) => [kind, settings(defaults)]));

/** A panel that cannot be drawn does not take the others with it. */
class Guard extends Component {
  state = {};
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? <Empty>{this.state.error.message}</Empty> : this.props.children;
  }
}

/** A panel's data frames: transformed, with its settings in them. */
function useFrames(panel, queries) {
  const [shown, setShown] = useState();
  useEffect(() => {
    const transformed = transformDataFrame(panel.transformations ?? [], frames(queries, data.step));
    const finish = (data) => {
      const { fieldConfig, type } = panel;
      const frames = applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry: registries[type], replaceVariables: (text) => text, theme, timeZone });
      cacheFieldDisplayNames(frames);
      setShown(frames);
    };
    const subscription = transformed.subscribe({ next: finish, error: console.error });
    return () => subscription.unsubscribe();
  }, []);
  return shown;
}

function Panel({ panel, answers, marks, width, height }) {
  const queries = panel.targets.map((target, i) => ({ target, answer: answers[i] }));
  const errors = answers.flatMap(({ error }) => error ?? []);
  const shown = useFrames(panel, queries);
  const { draw: Kind } = kinds[panel.type] ?? { draw: () => <Empty>There is no preview of {panel.type}.</Empty> };
  return (
    <PanelChrome width={width} height={height} title={panel.title} description={panel.description} statusMessage={errors.join('; ') || undefined}>
      {(width, height) => (
        <Guard>
          {errors.length > 0 ? <Empty>{errors.join('; ')}</Empty> : shown && <Kind {...{ frames: shown, height, marks, panel, timeRange, timeZone, width }} />}
        </Guard>
      )}
    </PanelChrome>
  );
}

function Grid({ dashboard: { model, answers, annotations }, width }) {
  const marks = annotations.flatMap(({ color, times }) =>
    times.map((time) => ({ color: theme.visualization.getColorByName(color), time: time * 1000 })));
  const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  const narrow = width < NARROW - 2 * PAGE_MARGIN;
  let below = 0;
  const placed = model.panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const size = { width: narrow ? width : w * (column + GAP) - GAP, height: h * (UNIT + GAP) - GAP };
    const place = narrow ? { left: 0, top: below } : { left: x * (column + GAP), top: y * (UNIT + GAP) };
    below = Math.max(below, place.top + size.height + GAP);
    return { panel, size, place };
  });
  return (
    <div className="grid" style={{ height: below }}>
      {placed.map(({ panel, size, place }) =>
        panel.type === 'row' ? (
          <h2 key={panel.id} style={{ ...place, width: size.width }}><Icon name="angle-down" /> {panel.title}</h2>
        ) : (
          <div key={panel.id} data-panel={panel.title} data-kind={panel.type} style={{ ...place, ...size }}>
            <Panel panel={panel} answers={answers[panel.id]} marks={marks} {...size} />
          </div>
        ))}
    </div>
  );
}

function Dashboard({ dashboard, width }) {
  const { model, variables } = dashboard;
  return (
    <section className="dashboard" id={model.uid}>
      <h1>{model.title}</h1>
      <div className="variables">
        {variables.map(({ label, text, values }) => (
          <span key={label} data-variable={label} data-values={values.length} title={values.join(', ')}><b>{label}</b>{text}</span>
        ))}
        {model.links.map(({ title, url }) => <span key={title} className="link" title={url}>{title}</span>)}
      </div>
      <Grid dashboard={dashboard} width={width} />
    </section>
  );
}

function Page() {
  const [width, setWidth] = useState(document.documentElement.clientWidth);
  useEffect(() => {
    const resized = () => setWidth(document.documentElement.clientWidth);
    addEventListener('resize', resized);
    resized();
    return () => removeEventListener('resize', resized);
  }, []);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <header className="caption">
        <strong>Preview, not Grafana</strong>
        <span>
          Grafana’s published components draw these panels: its units, colours, overrides and transformations. Pie charts and
          heat maps are similar. Nothing can be edited, and tooltips of graphs, menus and time ranges are missing.
        </span>
        <span>{from.format('YYYY-MM-DD HH:mm:ss')} to {to.format('YYYY-MM-DD HH:mm:ss')}, of {data.prometheus}</span>
      </header>
      {data.dashboards.map((dashboard) => (
        // A chart is configured for the size that it begins with.
        <Dashboard key={`${dashboard.model.uid} ${width}`} dashboard={dashboard} width={width - 2 * PAGE_MARGIN} />
      ))}
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('page')).render(<Page />);
