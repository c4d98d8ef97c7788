// Pie charts. Grafana publishes no component for them: this one draws the values that its packages compute, with their
// colours and its legend.

import { getFieldDisplayValues } from '@grafana/data';
import { VizLayout, VizLegend, useTheme2 } from '@grafana/ui';

import { Empty, hasNumbers } from './panels.jsx';

const MARGIN = 16;

export function Pie({ frames, panel, width, height, timeZone }) {
  const theme = useTheme2();
  const { legend, pieType, reduceOptions, sort } = panel.options;
  if (!hasNumbers(frames)) return <Empty />;
  const shown = getFieldDisplayValues({ data: frames, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: (text) => text, theme, timeZone });
  const order = { asc: 1, desc: -1, none: 0 }[sort];
  const values = shown.filter(({ display }) => display.numeric > 0 || display.numeric === 0)
    .sort((one, other) => order * (one.display.numeric - other.display.numeric));
  const total = values.reduce((sum, { display }) => sum + display.numeric, 0);
  const percent = ({ display, field }) => ({ numeric: display.numeric, text: `${((100 * display.numeric) / (total || 1)).toFixed(field.decimals ?? 0)}%`, title: 'Percent' });
  const items = values.map((value) => ({
    label: value.display.title ?? '',
    color: value.display.color,
    yAxis: 1,
    getItemKey: () => value.display.title ?? '',
    getDisplayValues: () => [
      ...(legend.values.includes('value') ? [{ ...value.display, title: 'Value' }] : []),
      ...(legend.values.includes('percent') ? [percent(value)] : []),
    ],
  }));
  const entries = legend.showLegend && (
    <VizLayout.Legend placement={legend.placement}>
      <VizLegend placement={legend.placement} displayMode={legend.displayMode} items={items} />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={entries || null}>
      {(width, height) => (
        <svg width={width} height={height} data-slices={values.length}>
          <g transform={`translate(${width / 2} ${height / 2})`} stroke={theme.colors.background.primary}>
            {slices(values, total, Math.max(Math.min(width, height) - 2 * MARGIN, 0) / 2, pieType === 'donut')}
          </g>
        </svg>
      )}
    </VizLayout>
  );
}

function slices(values, total, radius, donut) {
  const inner = donut ? Math.max(radius - Math.max(radius / 3, 20), 0) : 0;
  let before = 0;
  return values.filter(({ display }) => display.numeric > 0).map(({ display }) => {
    const from = before;
    before += display.numeric / total;
    const name = `${display.title}: ${display.prefix ?? ''}${display.text}${display.suffix ?? ''}`;
    return <path key={display.title} d={ring(from, before, inner, radius)} fill={display.color}><title>{name}</title></path>;
  });
}

/** From and to are shares of the circle, clockwise from the top. An arc cannot end where it begins. */
function ring(from, to, inner, outer) {
  const at = (share, radius) => `${radius * Math.sin(2 * Math.PI * share)} ${-radius * Math.cos(2 * Math.PI * share)}`;
  const end = Math.min(to, from + 0.9999);
  const long = end - from > 0.5 ? 1 : 0;
  return `M${at(from, outer)}A${outer} ${outer} 0 ${long} 1 ${at(end, outer)}L${at(end, inner)}A${inner} ${inner} 0 ${long} 0 ${at(from, inner)}Z`;
}
