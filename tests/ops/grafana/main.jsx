// One dashboard with the answers to its queries, drawn by Grafana's own components; and a report of what was drawn.
import { createTheme, dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues, ThemeContext } from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { framesOf, isEmpty } from './frames.js';

const WIDTH = 1580;
const CELL = 30;
const GAP = 8;
const wanted = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: wanted.get('theme') ?? 'dark' } });
const errors = [];
console.error = (...words) => errors.push(words.map(each => each?.stack ?? String(each)).join(' '));
window.addEventListener('error', event => errors.push(String(event.message)));

function Values({ panel, frames, width, height }) {
  const { options, fieldConfig } = panel;
  const isStat = panel.type === 'stat';
  const values = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: text => text,
      theme,
      data: frames,
      sparkline: isStat && options.graphMode !== 'none',
      timeZone: 'utc',
    });
  const draw = ({ value, alignmentFactors, ...size }) =>
    isStat ? (
      <BigValue value={value.display} sparkline={value.sparkline} theme={theme} {...options} {...size} />
    ) : (
      <BarGauge
        value={value.display}
        field={value.field}
        display={value.view?.getFieldDisplayProcessor(value.colIndex)}
        alignmentFactors={alignmentFactors}
        itemSpacing={8}
        valueDisplayMode={options.valueMode}
        theme={theme}
        {...options}
        {...size}
      />
    );
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={draw}
      renderCounter={0}
      source={frames}
      itemSpacing={3}
      orientation={options.orientation}
      width={width}
      height={height}
    />
  );
}

function Content({ panel, frames, range, width, height }) {
  const { options, fieldConfig } = panel;
  if (isEmpty(frames) && panel.type !== 'stat') return <div>{fieldConfig.defaults.noValue}</div>;
  const size = { width, height };
  if (panel.type === 'timeseries') {
    const series = frames.filter(frame => frame.length);
    const { legend } = options;
    return <TimeSeries frames={series} timeRange={range} timeZone="utc" {...size} legend={legend} options={options} />;
  }
  if (panel.type === 'table') return <Table data={frames[0]} showHeader initialSortBy={options.sortBy} {...size} />;
  return <Values panel={panel} frames={frames} {...size} />;
}

function Panel({ panel, frames, range }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute', left: (WIDTH / 24) * x, top: y * (CELL + GAP) };
  if (panel.type === 'row') return <h4 style={{ ...place, padding: 6 }}>{panel.title}</h4>;
  const width = (WIDTH / 24) * w - GAP;
  const height = CELL * h + GAP * (h - 1);
  return (
    <div style={place} data-panel={panel.title} data-empty={isEmpty(frames)}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(inner, innerHeight) => (
          <Content panel={panel} frames={frames} range={range} width={inner} height={innerHeight} />
        )}
      </PanelChrome>
    </div>
  );
}

function Dashboard({ dashboard, frames, range }) {
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ padding: 10, background: theme.colors.background.canvas }}>
        <h2>{dashboard.title}</h2>
        <p>{dashboard.description}</p>
        <div style={{ position: 'relative', height: bottom * (CELL + GAP) }}>
          {dashboard.panels.map((panel, i) => (
            <Panel key={panel.id} panel={panel} frames={frames[i]} range={range} />
          ))}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

function report() {
  const panels = [...document.querySelectorAll('[data-panel]')].map(panel => {
    const title = panel.querySelector('h2');
    return {
      title: panel.dataset.panel,
      is_empty: panel.dataset.empty === 'true',
      is_cut: title.scrollWidth > title.clientWidth,
      has_canvas: panel.querySelector('canvas') !== null,
      text: panel.innerText,
    };
  });
  const place = document.createElement('script');
  place.type = 'application/json';
  place.id = 'report';
  place.textContent = JSON.stringify({ panels, errors });
  document.body.append(place);
}

const { dashboard, answers, from, to } = await (await fetch(`./answers/${wanted.get('uid')}.json`)).json();
const ready = async panel => (panel.type === 'row' ? [] : framesOf(panel, answers[panel.id], theme));
const refused = panel => error => {
  errors.push(`${panel.title}: ${error}`);
  return [];
};
const frames = await Promise.all(dashboard.panels.map(panel => ready(panel).catch(refused(panel))));
const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
createRoot(document.getElementById('root')).render(<Dashboard dashboard={dashboard} frames={frames} range={range} />);
setTimeout(report, 2000);
