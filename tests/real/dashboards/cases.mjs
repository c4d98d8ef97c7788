// A small dashboard that the schema must accept, and ways to spoil it that it must each notice: each is a mistake that
// Grafana itself would not tell, but show as an empty or wrong panel, or no dashboard at all.

const datasource = { type: 'prometheus', uid: '${datasource}' };
const target = { datasource, refId: 'A', expr: 'up', legendFormat: 'up' };
const reduceOptions = { calcs: ['lastNotNull'] };
const panel = (id, type, options, custom) => ({
  type,
  id,
  title: type,
  description: 'What it says.',
  datasource,
  gridPos: { x: 0, y: 8 * id, w: 12, h: 8 },
  targets: [target],
  fieldConfig: { defaults: { unit: 'short', ...custom }, overrides: [] },
  options,
});
const tooltip = { mode: 'single', sort: 'none' };
const legend = { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true };

export const good = {
  uid: 'good',
  title: 'Good',
  schemaVersion: 39,
  panels: [
    { type: 'row', id: 9, title: 'Row', collapsed: false, gridPos: { x: 0, y: 0, w: 24, h: 1 }, panels: [] },
    panel(1, 'timeseries', { legend, tooltip }, { custom: { drawStyle: 'bars' } }),
    panel(2, 'piechart', {
      displayLabels: [],
      legend: { ...legend, values: ['percent'] },
      orientation: 'auto',
      pieType: 'pie',
      reduceOptions,
      sort: 'desc',
      tooltip,
    }),
    panel(3, 'table', { frameIndex: 0, showHeader: true }),
  ],
  templating: { list: [{ type: 'query', name: 'job', query: 'label_values(up, job)', refresh: 2 }] },
  annotations: { list: [{ name: 'a', datasource, enable: true, iconColor: 'red', expr: 'up', titleFormat: 'a' }] },
};
good.panels[3].fieldConfig.overrides = [override('custom.width', 80), override('unit', 's')];

function override(id, value) {
  return { matcher: { id: 'byName', options: 'Value' }, properties: [{ id, value }] };
}

export const bad = {
  'a wrapper': (dashboard) => ({ dashboard }),
  'no schemaVersion': (dashboard) => void delete dashboard.schemaVersion,
  'no uid': (dashboard) => void delete dashboard.uid,
  'a panel of type pie': ({ panels }) => void (panels[2].type = 'pie'),
  'a panel of type graph': ({ panels }) => void (panels[1].type = 'graph'),
  'axes of the old graph': ({ panels }) => void (panels[1].yaxes = [{ format: 's' }]),
  'panels in a row': ({ panels }) => void panels[0].panels.push(panels.pop()),
  'a panel without description': ({ panels }) => void delete panels[1].description,
  'a piechart without orientation': ({ panels }) => void delete panels[2].options.orientation,
  'an option of another panel': ({ panels }) => void (panels[1].options.pieType = 'pie'),
  'a choice that is none': ({ panels }) => void (panels[1].fieldConfig.defaults.custom.drawStyle = 'bar'),
  'a custom field that is none': ({ panels }) => void (panels[1].fieldConfig.defaults.custom.drawStile = 'bars'),
  'a unit that is a number': ({ panels }) => void (panels[1].fieldConfig.defaults.unit = 1),
  'an override that is none': ({ panels }) => void panels[3].fieldConfig.overrides.push(override('custom.widht', 1)),
  'an override of a wrong kind': ({ panels }) => void panels[3].fieldConfig.overrides.push(override('decimals', '2')),
  'a query without expr': ({ panels }) => void (panels[1].targets = [{ ...target, expr: undefined, query: 'up' }]),
  'a query of a fixed data source': ({ panels }) =>
    void (panels[1].targets = [{ ...target, datasource: { type: 'prometheus', uid: 'abc' } }]),
  'a transformation that is none': ({ panels }) => void (panels[3].transformations = [{ id: 'organise', options: {} }]),
  'a variable of no kind': ({ templating }) => void (templating.list[0].type = 'prometheus'),
  'a refresh in words': ({ templating }) => void (templating.list[0].refresh = 'always'),
  'an annotation without expr': ({ annotations }) => void delete annotations.list[0].expr,
};
