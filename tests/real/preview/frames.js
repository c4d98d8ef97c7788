// Answers of Prometheus as data frames, in the forms that Grafana's data source gives them to panels.

import { FieldType, toDataFrame } from '@grafana/data';

/** `queries` are pairs of a panel's target and its answer. `step` is the distance of points, in seconds. */
export function frames(queries, step) {
  const tables = queries.filter(({ target }) => target.format === 'table').length;
  return queries.flatMap(({ target, answer: { refId, series } }) => {
    if (target.format === 'table') return [table(refId, series, tables > 1 ? `Value #${refId}` : 'Value')];
    if (target.format === 'heatmap') return series.length === 0 ? [] : [heatmap(refId, series, step)];
    return series.map((one) => line(refId, one, step));
  });
}

const milliseconds = ([seconds]) => seconds * 1000;
const value = ([, number]) => number;
const times = (points, step) => ({ name: 'Time', type: FieldType.time, values: points.map(milliseconds), config: { interval: step * 1000 } });

function line(refId, { name, labels, points }, step) {
  const values = { name: 'Value', type: FieldType.number, labels, values: points.map(value), config: { displayNameFromDS: name } };
  return toDataFrame({ refId, fields: [times(points, step), values] });
}

/** One row for each series; its labels are columns. */
function table(refId, series, name) {
  const labels = [...new Set(series.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const last = series.map(({ points }) => points.at(-1));
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: last.map(milliseconds) },
      ...labels.map((label) => ({ name: label, type: FieldType.string, values: series.map(({ labels }) => labels[label] ?? ''), config: { filterable: true } })),
      { name, type: FieldType.number, values: last.map(value) },
    ],
  });
}

/** One field for each bucket, smallest first, which counts what is in this bucket alone. */
function heatmap(refId, series, step) {
  const bound = ({ labels: { le } }) => (le === '+Inf' ? Infinity : Number(le));
  const buckets = series.toSorted((one, other) => bound(one) - bound(other));
  const all = [...new Set(buckets.flatMap(({ points }) => points.map(([seconds]) => seconds)))].sort((one, other) => one - other);
  const cumulative = buckets.map(({ points }) => {
    const at = new Map(points);
    return all.map((seconds) => at.get(seconds) ?? 0);
  });
  const own = cumulative.map((counts, i) => counts.map((count, at) => Math.max(count - (cumulative[i - 1]?.[at] ?? 0), 0)));
  return toDataFrame({
    refId,
    fields: [
      times(all.map((seconds) => [seconds]), step),
      ...buckets.map(({ labels }, i) => ({ name: labels.le, type: FieldType.number, labels, values: own[i] })),
    ],
  });
}
