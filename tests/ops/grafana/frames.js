// What the data sources of Grafana make of answers, and what its panels do with that before they draw.
import {
  applyFieldOverrides,
  FieldConfigOptionsRegistry,
  FieldType,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

const byId = new Map(Object.values(standardTransformers).map(each => [each?.id, each]));
byId.delete(undefined);
standardTransformersRegistry.setInit(() =>
  [...byId.values()].map(each => ({ id: each.id, name: each.name, transformation: each, aliasIds: [] }))
);

const number = text => (text === 'NaN' ? null : Number(text.replace('Inf', 'Infinity')));
const named = (legend, labels) => legend.replace(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? '');
const TYPES = { number: FieldType.number, time: FieldType.time, string: FieldType.string };

function ofStatement(target, { columns, rows }) {
  const fields = columns.map(([name, type], i) => ({ name, type: TYPES[type], config: {}, values: rows.map(row => row[i]) }));
  return [toDataFrame({ refId: target.refId, fields })];
}

function ofRows(target, series, isOnly) {
  const labels = [...new Set(series.flatMap(each => Object.keys(each.metric)))].sort();
  const texts = labels.map(name => ({
    name,
    type: FieldType.string,
    config: {},
    values: series.map(each => each.metric[name] ?? ''),
  }));
  const times = series.map(each => each.value[0] * 1000);
  const values = series.map(each => number(each.value[1]));
  const fields = [
    { name: 'Time', type: FieldType.time, config: {}, values: times },
    ...texts,
    { name: isOnly ? 'Value' : `Value #${target.refId}`, type: FieldType.number, config: {}, values },
  ];
  return [toDataFrame({ refId: target.refId, fields })];
}

function ofSeries(target, series) {
  return series.map(({ metric, value, values }) => {
    const samples = values ?? [value];
    const name = named(target.legendFormat || JSON.stringify(metric), metric);
    const fields = [
      { name: 'Time', type: FieldType.time, config: {}, values: samples.map(each => each[0] * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        config: { displayNameFromDS: name },
        values: samples.map(each => number(each[1])),
      },
    ];
    return toDataFrame({ refId: target.refId, name, fields });
  });
}

const STANDARD = 'unit decimals min max color thresholds mappings links noValue displayName description'.split(' ');
const CUSTOM = (
  'drawStyle lineWidth lineInterpolation lineStyle fillOpacity gradientMode showPoints pointSize stacking thresholdsStyle ' +
  'axisSoftMin axisSoftMax axisPlacement axisColorMode axisCenteredZero axisBorderShow scaleDistribution barAlignment ' +
  'barWidthFactor hideFrom spanNulls insertNulls width minWidth align cellOptions inspect'
).split(' ');
const option = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path,
  path,
  name: path,
  isCustom,
  settings: {},
  process: value => value,
  shouldApply: () => true,
});
const registry = new FieldConfigOptionsRegistry(
  () => [...STANDARD.map(path => option(path, false)), ...CUSTOM.map(path => option(path, true))],
  'options'
);
// What a panel has that says nothing else.
const DEFAULTS = {
  timeseries: {
    drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none',
    showPoints: 'auto', pointSize: 5, stacking: { mode: 'none', group: 'A' }, axisPlacement: 'auto',
    scaleDistribution: { type: 'linear' }, hideFrom: { tooltip: false, viz: false, legend: false },
    thresholdsStyle: { mode: 'off' }, barAlignment: 0, barWidthFactor: 0.6, spanNulls: false, insertNulls: false,
    axisColorMode: 'text', axisCenteredZero: false, axisBorderShow: false,
  },
};

export async function framesOf(panel, answers, theme) {
  let data = panel.targets.flatMap((target, i) => {
    if (target.rawSql) return ofStatement(target, answers[i]);
    if (target.format === 'table') return ofRows(target, answers[i], panel.targets.length === 1);
    return ofSeries(target, answers[i]);
  });
  if (panel.transformations?.length) data = await firstValueFrom(transformDataFrame(panel.transformations, data));
  const { defaults, overrides } = panel.fieldConfig;
  const fieldConfig = { defaults: { ...defaults, custom: { ...DEFAULTS[panel.type], ...defaults.custom } }, overrides };
  const replaceVariables = text => text;
  return applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry: registry, replaceVariables, theme, timeZone: 'utc' });
}

export const isEmpty = frames =>
  !frames.some(frame => frame.fields.some(field => field.type !== FieldType.time && field.values.some(value => value != null)));
