// The kinds of panels that Grafana's published components draw. Each gets data frames with their settings applied.

import { FieldColorModeId, FieldType, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BigValue, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { Heatmap } from './heatmap.jsx';
import { Pie } from './pie.jsx';

const hideFrom = { legend: false, tooltip: false, viz: false };
const classic = { mode: FieldColorModeId.PaletteClassic };
const same = (text) => text;

/** Draws a kind, and what its fields have where a dashboard says nothing, as in a new panel of Grafana. */
export const kinds = {
  stat: { draw: Stat, defaults: {} },
  table: { draw: Table, defaults: { custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, filterable: undefined, minWidth: undefined, width: undefined, hidden: undefined, wrapHeaderText: undefined } } },
  piechart: { draw: Pie, defaults: { color: classic, custom: { hideFrom } } },
  heatmap: { draw: Heatmap, defaults: { custom: { hideFrom, scaleDistribution: { type: 'linear' } } } },
  timeseries: {
    draw: Lines,
    defaults: {
      color: classic,
      custom: {
        axisBorderShow: false,
        axisCenteredZero: false,
        axisColorMode: 'text',
        axisGridShow: true,
        axisLabel: '',
        axisPlacement: 'auto',
        axisSoftMax: undefined,
        axisSoftMin: undefined,
        barAlignment: 0,
        barWidthFactor: 0.6,
        drawStyle: 'line',
        fillOpacity: 0,
        gradientMode: 'none',
        hideFrom,
        lineInterpolation: 'linear',
        lineStyle: { fill: 'solid' },
        lineWidth: 1,
        pointSize: 5,
        scaleDistribution: { type: 'linear' },
        showPoints: 'auto',
        spanNulls: false,
        stacking: { group: 'A', mode: 'none' },
        thresholdsStyle: { mode: 'off' },
      },
    },
  },
};

export function Empty({ children = 'No data' }) {
  return <div className="none">{children}</div>;
}

export const hasNumbers = (frames) => frames.some(({ fields, length }) => length > 0 && fields.some(({ type }) => type === FieldType.number));

function Stat({ frames, panel, width, height, timeZone }) {
  const theme = useTheme2();
  const { colorMode, graphMode, justifyMode, orientation, reduceOptions, textMode, wideLayout } = panel.options;
  const values = () => getFieldDisplayValues({ data: frames, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: same, theme, timeZone });
  return (
    <VizRepeater
      width={width}
      height={height}
      orientation={orientation}
      autoGrid
      source={frames}
      renderCounter={0}
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, alignmentFactors, count, width, height }) => (
        <div data-value>
          <BigValue
            {...{ alignmentFactors, colorMode, count, graphMode, height, justifyMode, textMode, theme, width }}
            value={value.display}
            disableWideLayout={!wideLayout}
          />
        </div>
      )}
    />
  );
}

function Lines({ frames, panel, width, height, timeRange, timeZone, marks }) {
  if (!hasNumbers(frames)) return <Empty />;
  return (
    <TimeSeries {...{ frames, height, timeRange, timeZone, width }} legend={panel.options.legend}>
      {(config) => {
        config.addHook('draw', (plot) => marks.forEach((mark) => draw(plot, mark)));
        return null;
      }}
    </TimeSeries>
  );
}

/** An annotation is a dashed line over the whole height. */
function draw(plot, { color, time }) {
  const { ctx, bbox } = plot;
  const x = plot.valToPos(time, 'x', true);
  ctx.save();
  ctx.beginPath();
  ctx.strokeStyle = color;
  ctx.lineWidth = 2;
  ctx.setLineDash([5, 5]);
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function Table({ frames, panel, width, height, timeRange }) {
  const { frameIndex = 0, showHeader = true, sortBy, cellHeight } = panel.options;
  const data = frames[frameIndex];
  if (!data?.length) return <Empty />;
  // All cells are there, also those that one has to scroll to.
  return (
    <TableNG
      {...{ cellHeight, data, height, sortBy, timeRange, width }}
      enableVirtualization={false}
      fieldConfig={panel.fieldConfig}
      noHeader={!showHeader}
    />
  );
}
