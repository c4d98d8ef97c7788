// Heat maps of a histogram's buckets. Grafana publishes no component for them: this one has its axes, and draws a cell for
// each bucket and interval in the colours that Grafana takes from the same package.

import * as schemes from 'd3-scale-chromatic';
import { FieldType, formattedValueToString, getValueFormat } from '@grafana/data';
import { UPlotChart, UPlotConfigBuilder, useTheme2 } from '@grafana/ui';

import { Empty, hasNumbers } from './panels.jsx';

const LEGEND = 30;

export function Heatmap({ frames, panel, width, height, timeRange, timeZone }) {
  const theme = useTheme2();
  const { color, filterValues, legend, yAxis } = panel.options;
  if (!hasNumbers(frames)) return <Empty />;
  const [times, ...buckets] = frames[0].fields;
  const counts = buckets.filter(({ type }) => type === FieldType.number);
  const shown = counts.flatMap(({ values }) => values).filter((count) => count > (filterValues?.le ?? -Infinity));
  if (shown.length === 0) return <Empty />;
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const shade = shades(color, theme.isDark);
  const fill = (count) => shade(most > least ? (count - least) / (most - least) : 1);
  const cells = { times: times.values, step: times.config.interval, counts, fill, shows: (count) => count > (filterValues?.le ?? -Infinity) };
  const text = (count) => formattedValueToString(counts[0].display(count));
  const room = legend.show ? height - LEGEND : height;
  return (
    <>
      <UPlotChart
        config={config({ cells, theme, timeRange, timeZone, unit: yAxis.unit })}
        data={[times.values, ...counts.map(({ values }) => values)]}
        width={width}
        height={room}
      />
      {legend.show && (
        <div className="scale">
          {text(least)}
          <i style={{ background: `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(shade).join(', ')})` }} />
          {text(most)}
        </div>
      )}
    </>
  );
}

/** From 0 to 1; the least is near the background's colour. */
function shades({ scheme, reverse, steps }, isDark) {
  const interpolate = schemes[`interpolate${scheme}`];
  const turned = isDark !== reverse;
  return (share) => {
    const step = Math.round(share * (steps - 1)) / (steps - 1);
    return interpolate(turned ? 1 - step : step);
  };
}

/** Rows are of one height, whatever their bounds are; a row's upper bound is written at its upper edge. */
function config({ cells, theme, timeRange, timeZone, unit }) {
  const { counts, times, step, fill, shows } = cells;
  const format = getValueFormat(unit);
  const bound = (row) => {
    const le = counts[row - 1]?.name;
    return le === undefined ? '' : le === '+Inf' ? '+Inf' : formattedValueToString(format(Number(le)));
  };
  const builder = new UPlotConfigBuilder(timeZone);
  builder.addScale({ scaleKey: 'x', isTime: true, orientation: 0, direction: 1, range: () => [timeRange.from.valueOf(), timeRange.to.valueOf()] });
  builder.addScale({ scaleKey: 'y', isTime: false, orientation: 1, direction: 1, range: () => [0, counts.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', timeZone, theme });
  const every = (plot) => Math.max(Math.ceil((14 * counts.length) / (plot.bbox.height / devicePixelRatio || 1)), 1);
  builder.addAxis({
    scaleKey: 'y',
    placement: 'left',
    theme,
    splits: (plot) => counts.map((_, row) => row + 1).filter((row) => (counts.length - row) % every(plot) === 0),
    values: (_, rows) => rows.map(bound),
  });
  for (const _ of counts) {
    builder.addSeries({ scaleKey: 'y', pathBuilder: () => null, pointsBuilder: () => null, theme, show: true });
  }
  builder.addHook('draw', (plot) => {
    const { ctx } = plot;
    const x = (time) => plot.valToPos(time, 'x', true);
    const y = (row) => plot.valToPos(row, 'y', true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    counts.forEach(({ values }, row) => values.forEach((count, i) => {
      if (!shows(count)) return;
      ctx.fillStyle = fill(count);
      ctx.fillRect(x(times[i] - step), y(row + 1) + 1, x(times[i]) - x(times[i] - step) - 1, y(row) - y(row + 1) - 1);
    }));
    ctx.restore();
  });
  builder.setCursor({ show: false });
  return builder;
}
