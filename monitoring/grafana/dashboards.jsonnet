// Both dashboards. jsonnet 0.18 generates the two JSON files in this folder from this file:
//
//     cd monitoring/grafana && jsonnet -m . dashboards.jsonnet
//
// In queries {J} selects the gateways that the user picked, {P} these gateways, and the slots and policies that the user
// picked, {S} the same of shadows, {K} also the versions and modes, and [I] is Grafana's own interval. (V) are the labels of a
// version in a slot. `>= 0` after a quotient or a quantile drops series without events: NaN is not >= 0.

// The labels of a version in a slot, in the order of columns: sums, joins, the columns of the table and the variables follow.
local place = ['hook', 'slot', 'policy', 'version', 'revision', 'mode'];
local placeLegend = '{{slot}} {{policy}} {{version}} {{revision}}';
// A user picks by all but the digits of the revision.
local picked = [label for label in place if label != 'revision'];
local pick(labels) = std.join(',', ['%s=~"$%s"' % [label, label] for label in labels]);

local gateways = 'job=~"$job",instance=~"$instance"';
local query(text) = std.foldl(
  function(text, short) std.strReplace(text, short[0], short[1]),
  [
    ['{J', '{' + gateways],
    ['{P', '{%s,%s' % [gateways, pick(['hook', 'slot', 'policy'])]],
    ['{S', '{%s,%s,shadow_policy=~"$policy"' % [gateways, pick(['hook', 'slot'])]],
    ['{K', '{%s,%s' % [gateways, pick(picked)]],
    ['(V', '(' + std.join(', ', place)],
    ['[I]', '[$__rate_interval]'],
  ],
  text
);

local datasource = { type: 'prometheus', uid: '${datasource}' };

// A panel's queries: pairs of PromQL and legend.
local targets(queries, how) = std.mapWithIndex(
  function(i, q) {
    datasource: datasource,
    refId: std.char(std.codepoint('A') + i),
    expr: query(q[0]),
    legendFormat: q[1],
  } + how,
  queries
);
local once = { instant: true, range: false };

// Grafana's own default is red from 80 on, whatever is shown.
local neutral = { mode: 'absolute', steps: [{ color: 'text', value: null }] };
// Colours from a value on: pairs of value and colour, the first for all below.
local thresholds(below, steps) = {
  fieldConfig+: {
    defaults+: {
      thresholds: {
        mode: 'absolute',
        steps: [{ color: below, value: null }] + [{ color: step[1], value: step[0] } for step in steps],
      },
    },
  },
};

// --- Kinds of panels; `place` is [x, y, width, height] ---

local panel(type, id, title, place, unit, description) = {
  type: type,
  id: id,
  title: title,
  description: std.strReplace(std.rstripChars(description, '\n'), '\n', ' '),
  datasource: datasource,
  gridPos: { x: place[0], y: place[1], w: place[2], h: place[3] },
  fieldConfig: { defaults: { unit: unit, thresholds: neutral }, overrides: [] },
};
// A model, or any other name, has the same colour in all panels.
local byName = { fieldConfig+: { defaults+: { color: { mode: 'palette-classic-by-name' } } } };

local stat(id, title, place, unit, description, queries) = panel('stat', id, title, place, unit, description) {
  targets: targets(queries, once),
  options: {
    colorMode: 'value',
    graphMode: 'none',
    justifyMode: 'auto',
    orientation: 'auto',
    percentChangeColorMode: 'standard',
    reduceOptions: { calcs: ['lastNotNull'] },
    showPercentChange: false,
    textMode: 'auto',
    wideLayout: true,
  },
};

local timeseries(id, title, place, unit, description, queries) =
  panel('timeseries', id, title, place, unit, description) + byName + {
    targets: targets(queries, { range: true }),
    fieldConfig+: { defaults+: { min: 0, custom: { drawStyle: 'line', fillOpacity: 10 } } },
    options: {
      legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };

// Rare events with many possible labels: queries end with `> 0`, and no bar means no event.
local bars(id, title, place, unit, description, queries) =
  timeseries(id, title, place, unit, description, queries) {
    fieldConfig+: { defaults+: { custom+: { drawStyle: 'bars', fillOpacity: 80, stacking: { mode: 'normal' } } } },
  };

local piechart(id, title, place, unit, description, queries) =
  panel('piechart', id, title, place, unit, description) + byName + {
    targets: targets(queries, once),
    options: {
      displayLabels: [],
      legend: { calcs: [], displayMode: 'table', placement: 'right', showLegend: true, values: ['percent'] },
      orientation: 'auto',
      pieType: 'donut',
      reduceOptions: { calcs: ['lastNotNull'] },
      sort: 'desc',
      tooltip: { mode: 'single', sort: 'none' },
    },
  };

// Of a histogram's buckets: `unit` is the unit of the axis, and a cell is a count.
local heatmap(id, title, place, unit, description, queries) = panel('heatmap', id, title, place, 'short', description) {
  targets: targets(queries, { format: 'heatmap', range: true }),
  options: {
    calculate: false,
    color: { exponent: 0.5, fill: 'dark-orange', mode: 'scheme', reverse: false, scheme: 'Oranges', steps: 64 },
    exemplars: { color: 'rgba(255,0,255,0.7)' },
    filterValues: { le: 1e-9 },
    legend: { show: true },
    rowsFrame: { layout: 'auto' },
    showValue: 'never',
    tooltip: { mode: 'single' },
    yAxis: { axisPlacement: 'left', unit: unit },
  },
};

// One row for each set of labels that the queries share. `columns` are pairs of a column's name in the answer and in the
// table, in their order. The value of query A is `Value #A`, or `Value` if there is no other query. `hidden` are names in the
// answer that are no columns.
local table(id, title, place, description, queries, columns, hidden=[]) =
  panel('table', id, title, place, 'locale', description) {
    targets: targets([[text, ''] for text in queries], once { format: 'table' }),
    fieldConfig+: { defaults+: { custom: { align: 'left', cellOptions: { type: 'auto' }, inspect: false } } },
    options: { frameIndex: 0, showHeader: true },
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { [name]: true for name in ['Time'] + hidden },
          indexByName: { [columns[i][0]]: i for i in std.range(0, std.length(columns) - 1) },
          renameByName: { [column[0]]: column[1] for column in columns },
        },
      },
    ],
  };

local row(id, title, y) = {
  type: 'row',
  id: id,
  title: title,
  collapsed: false,
  gridPos: { x: 0, y: y, w: 24, h: 1 },
  panels: [],
};

// --- Options of some panels ---

local defaults(fields) = { fieldConfig+: { defaults+: fields } };
// Values may be below 0.
local signed = { fieldConfig+: { defaults+: { min:: null } } };
// Many series: a table next to the graph, the largest first.
local many = {
  options+: {
    legend+: { calcs: ['lastNotNull'], displayMode: 'table', placement: 'right', sortBy: 'Last *', sortDesc: true },
  },
};
// The same colour for the same word in all panels; of series whose legend ends with that word.
local colors(words) = {
  fieldConfig+: {
    overrides+: [{
      matcher: { id: 'byRegexp', options: '/(^|.* )%s$/' % word },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: words[word] } }],
    } for word in std.objectFields(words)],
  },
};
local places = colors({ 'local': 'green', cloud: 'blue', none: 'gray' });
local quantiles = colors({ p50: 'green', p95: 'yellow', p99: 'red' });
local outcomes = colors({ route: 'green', deny: 'blue', pass: 'gray', fallback: 'red' });
local column(name, fields) = {
  fieldConfig+: {
    overrides+: [{
      matcher: { id: 'byName', options: name },
      properties: [{ id: id, value: fields[id] } for id in std.objectFields(fields)],
    }],
  },
};
// A gauge of 0 or 1 in words; `bad` is the value that needs attention.
local words(zero, one, bad) = [{
  type: 'value',
  options: {
    '0': { text: zero, color: if bad == 0 then 'red' else 'green' },
    '1': { text: one, color: if bad == 1 then 'red' else 'green' },
  },
}];
local colored = { type: 'color-text' };

// --- Parts of both dashboards ---

local variable(name, label, of) = {
  type: 'query',
  name: name,
  label: label,
  datasource: datasource,
  query: 'label_values(%s, %s)' % [query(of), name],
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.+',
  current: { selected: true, text: ['All'], value: ['$__all'] },
};

local annotation(name, color, text, title) = {
  name: name,
  datasource: datasource,
  enable: true,
  iconColor: color,
  expr: query(text),
  titleFormat: title,
};

// What clients experienced: to the requests that ended it adds those that the gateway refused with 503 for lack of capacity.
local refused = 'api_gateway_rejected_requests_total{J,reason=~"overloaded|backend_full"}';
local experienced(of, window) = 'sum(%s(api_gateway_requests_total{J}[%s]) or %s(%s[%s]))' % [of, window, of, refused, window];
local failed(of, window) =
  'sum(%s(api_gateway_requests_total{J,status="error"}[%s]) or %s(%s[%s]))' % [of, window, of, refused, window];

// Where the runbooks are: the folder of this repository, as people reach it. `alertmanager/messages.tmpl` has the same.
local runbooks = 'https://git.example.com/wasmgate/monitoring/runbooks/';
local escape(text) = std.foldl(
  function(text, pair) std.strReplace(text, pair[0], pair[1]),
  [['%', '%25'], [' ', '%20'], ['"', '%22'], ['{', '%7B'], ['}', '%7D'], ['|', '%7C'], ['+', '%2B'], ['\\', '%5C'], ['=', '%3D']],
  text
);
local logs(text) = '/explore?schemaVersion=1&panes=' + escape(std.manifestJsonMinified({
  logs: {
    datasource: 'loki',
    queries: [{ refId: 'A', expr: text, datasource: { type: 'loki', uid: 'loki' } }],
    range: { from: 'now-1h', to: 'now' },
  },
}));
local link(title, url, icon) = {
  type: 'link',
  title: title,
  url: url,
  icon: icon,
  tooltip: '',
  tags: [],
  asDropdown: false,
  includeVars: false,
  keepTime: true,
  targetBlank: icon != 'dashboard',
};

// What a panel leads to: the runbook of the alert on what it shows, and the log's lines about it.
local see(alert, lines=null) = {
  links+: [link('Runbook ' + alert, runbooks + alert + '.md', 'question')]
          + (if lines == null then [] else [link('Logs', logs(lines), 'doc')]),
};
local failedRequests = '{job="api-gateway"} | json | ending=~"failed|shutdown"';
local policyLines = '{job="api-gateway"} | json | message=~"policy.*|breaker.*"';

local dashboard(uid, title, description, other) = {
  uid: uid,
  title: title,
  description: description + ' Generated from dashboards.jsonnet.',
  tags: ['wasmgate'],
  schemaVersion: 39,
  editable: false,
  graphTooltip: 1,
  refresh: '30s',
  templating: {
    list: [
      {
        type: 'datasource',
        name: 'datasource',
        label: 'Data source',
        query: 'prometheus',
        current: { selected: true, text: 'Prometheus', value: 'prometheus' },
      },
      variable('job', 'Job', 'api_gateway_build_info'),
      variable('instance', 'Instance', 'api_gateway_build_info{job=~"$job"}'),
    ],
  },
  annotations: {
    list: [
      annotation(
        'Reloads',
        'green',
        // A new policy has a new series.
        'changes(api_gateway_policy_last_reload_success_timestamp_seconds{J}[I]) > 0 or (api_gateway_policy_last_reload_success_timestamp_seconds{J} unless api_gateway_policy_last_reload_success_timestamp_seconds{J} offset $__rate_interval)',
        '{{slot}}: {{policy}} loaded'
      ),
      annotation(
        'Refused reloads',
        'red',
        'sum by (slot, policy, result) (increase(api_gateway_policy_reloads_total{J,result=~"rejected_.+"}[I])) > 0',
        '{{slot}}: {{policy}} {{result}}'
      ),
      annotation(
        'Rollbacks',
        'purple',
        'sum by (slot, policy) (increase(api_gateway_policy_reloads_total{J,result="rolled_back"}[I])) > 0',
        '{{slot}}: rolled back to {{policy}}'
      ),
      // Promoted, aborted, or taken out.
      annotation(
        'Canaries that ended',
        'orange',
        'max by (slot, policy, version, revision) (api_gateway_policy_info{J,mode="canary"} offset $__rate_interval) unless on (slot, revision) api_gateway_policy_info{J,mode="canary"}',
        '{{slot}}: {{policy}} {{version}} {{revision}} ended'
      ),
    ],
  },
  links: [
    link(other.title, '/d/' + other.uid, 'dashboard') { includeVars: true },
    link('Logs of failed requests', logs(failedRequests), 'doc'),
    link('Logs of policies', logs(policyLines), 'doc'),
    // Grafana's own page of the rules in its data sources.
    link('Alerts', '/alerting/list', 'info'),
    link('Runbooks', runbooks, 'question'),
  ],
};

local names = {
  main: { uid: 'hybrid-ai-stack', title: 'Hybrid AI Stack - Main Dashboard' },
  policies: { uid: 'hybrid-ai-stack-policies', title: 'Hybrid AI Stack - Policies' },
};

// What a group will have spent when the period ends if it goes on as it has: spend by the share of the period that is over.
local forecast =
  'max by (group, period) (api_gateway_budget_spent_usd{J} / clamp_min(1 - api_gateway_budget_window_remaining_seconds{J} / api_gateway_budget_window_seconds{J}, 0.05))';
local used = { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'orange', value: 0.8 }, { color: 'red', value: 1 }] };

local main = dashboard(
  names.main.uid,
  names.main.title,
  'Traffic, spend, latency and failures of the gateway.',
  names.policies
) {
  time: { from: 'now-24h', to: 'now' },
  panels: [
    stat(1, 'Total Requests (24h)', [0, 0, 4, 4], 'locale', |||
      Requests of the last 24 hours as clients experienced them, whatever range is shown: those that ended, and those that
      the gateway refused with 503 for lack of capacity. Rejected Requests by Reason shows all refusals.
    |||, [[experienced('increase', '24h'), 'requests']]) + defaults({ decimals: 0 }),
    stat(21, 'Answered', [4, 0, 4, 4], 'percentunit', |||
      Share of these requests that was answered, as of now; the objective is 99 % of 30 days. It counts failures in the
      gateway and at backends and refusals with 503, but no mistakes of clients. See Error Ratio and Errors by Reason.
    |||, [['1 - %s / %s >= 0' % [failed('rate', '$__rate_interval'), experienced('rate', '$__rate_interval')], 'answered']])
    + thresholds('red', [[0.9, 'orange'], [0.99, 'green']]) + defaults({ noValue: 'no traffic', max: 1 }),
    piechart(2, 'Local vs Cloud Requests', [8, 0, 4, 4], 'locale', |||
      Where models answered the requests of the shown range; none: the request reached no model. More cloud than you
      planned costs money: the policies' dashboard shows which policy decides so.
    |||, [['sum by (backend) (increase(api_gateway_requests_total{J}[$__range]))', '{{backend}}']]) + places + defaults({ decimals: 0 }),
    stat(3, 'Total API Costs (30d)', [12, 0, 4, 4], 'currencyUSD', |||
      Estimated spend of the last 30 days, as far back as Prometheus keeps samples. Compare it with the providers'
      bills: models without a price count as 0.
    |||, [['sum(increase(api_gateway_cost_total{J}[30d]))', 'spend']]),
    stat(4, 'Average Latency', [16, 0, 4, 4], 's', |||
      Mean time of a whole request, to the last byte of its answer, as of now. Long answers are slow answers: look at
      Response Latency by Model before you blame a model.
    |||, [[
      'sum(rate(api_gateway_request_duration_seconds_sum{J}[I])) / sum(rate(api_gateway_request_duration_seconds_count{J}[I])) >= 0',
      'mean',
    ]]) + thresholds('green', [[5, 'yellow'], [10, 'red']]) + defaults({ noValue: 'no traffic' }),
    stat(22, 'Firing Alerts', [20, 0, 4, 4], 'locale', |||
      Alerts that fire in this Prometheus, on any gateway. Firing Alerts by Name lists them, with their runbooks.
    |||, [['count(ALERTS{alertstate="firing",severity!="none"}) or vector(0)', 'alerts']])
    + thresholds('green', [[1, 'red']]) + defaults({ decimals: 0 }),
    timeseries(5, 'Requests by Model Over Time', [0, 4, 12, 8], 'reqps', |||
      Requests that ended, by the model that answered. If a model drops to zero while others grow, it failed or policies
      no longer choose it.
    |||, [['sum by (model) (rate(api_gateway_requests_total{J}[I]))', '{{model}}']]),
    piechart(23, 'Request Distribution by Model', [12, 4, 12, 8], 'locale', |||
      Requests of the shown range by the model that answered; none: the request reached no model. It shows what policies
      chose, less what failed.
    |||, [['sum by (model) (increase(api_gateway_requests_total{J}[$__range]))', '{{model}}']]) + defaults({ decimals: 0 }),
    timeseries(24, 'API Costs Over Time', [0, 12, 12, 8], 'suffix:$/h', |||
      Estimated spend per hour at the current pace, by model. HighAPICosts fires above 10 dollars in one hour of all models.
      If a line climbs, its model became more expensive, or policies choose it more often.
    |||, [['sum by (model) (rate(api_gateway_cost_total{J}[I])) * 3600', '{{model}}']])
    + see('HighAPICosts'),
    // A difference of the counters themselves: an increase over the range would fall where the range began with spend.
    timeseries(6, 'Cost Accumulation', [12, 12, 12, 8], 'currencyUSD', |||
      Estimated spend since the beginning of the shown range; at the right edge, that of the whole range. It never falls,
      except to 0 when a gateway starts again.
    |||, [[
      'clamp_min(sum by (model) (api_gateway_cost_total{J}) - (sum by (model) (api_gateway_cost_total{J} @ start()) or sum by (model) (api_gateway_cost_total{J}) * 0), 0)',
      '{{model}}',
    ]]),
    timeseries(7, 'Response Latency by Model', [0, 20, 24, 8], 's', |||
      Half, 95 % and 99 % of a model's requests end within this time. A p99 far above p50 means that few requests
      suffer: find them in the log by their duration.
    |||, [
      [
        'histogram_quantile(%s, sum by (model, le) (rate(api_gateway_request_duration_seconds_bucket{J}[I]))) >= 0' % q[0],
        '{{model}} ' + q[1],
      ]
      for q in [['0.50', 'p50'], ['0.95', 'p95'], ['0.99', 'p99']]
    ]) + many
    + see('SlowResponses'),

    row(17, 'Failures', 28),
    stat(14, 'Gateway and Backends', [0, 29, 6, 8], 'short', |||
      Whether the gateway can serve, and whether each backend answers. Policies see which backend is down and choose
      others: repair it before the others are overloaded or the cost rises.
    |||, [
      ['min(api_gateway_health{J})', 'gateway'],
      ['min by (upstream) (api_gateway_upstream_up{J})', '{{upstream}}'],
    ]) + defaults({ mappings: words('down', 'up', bad=0) }) + { options+: { colorMode: 'background', orientation: 'horizontal' } }
    + see('BackendDown'),
    timeseries(9, 'Error Ratio', [6, 29, 9, 8], 'percentunit', |||
      Share of requests that failed as clients experienced it, with refusals for lack of capacity: of all, the refusals
      alone, and by the model called last. HighErrorRate fires above 10 % of all requests.
    |||, [
      ['%s / %s >= 0' % [failed('rate', '$__rate_interval'), experienced('rate', '$__rate_interval')], 'all'],
      ['sum(rate(%s[I])) / %s >= 0' % [refused, experienced('rate', '$__rate_interval')], 'refused'],
      [
        'sum by (model) (rate(api_gateway_requests_total{J,status="error"}[I])) / sum by (model) (rate(api_gateway_requests_total{J}[I])) >= 0',
        '{{model}}',
      ],
    ])
    + see('HighErrorRate', failedRequests),
    bars(13, 'Errors by Reason', [15, 29, 9, 8], 'reqps', |||
      Why requests failed, and where the model runs; none: the request reached no model. timeout, connect, upstream_*
      and protocol are a backend's failures, internal and shutdown the gateway's.
    |||, [['sum by (backend, reason) (rate(api_gateway_errors_total{J}[I])) > 0', '{{backend}} {{reason}}']])
    + see('HighErrorRate', failedRequests),
    bars(12, 'Rejected Requests by Reason', [0, 37, 8, 8], 'reqps', |||
      Requests that the gateway rejected. overloaded: too many in flight, or too much memory; backend_full: the backends'
      queues; policy_denied: a policy refuses; forbidden: origin or host; the others are mistakes of clients.
    |||, [['sum by (reason) (rate(api_gateway_rejected_requests_total{J}[I])) > 0', '{{reason}}']])
    + see('GatewayOverloaded', '{job="api-gateway"} | json | ending="rejected"'),
    bars(16, 'Fallbacks', [8, 37, 8, 8], 'reqps', |||
      Requests that another model answered because the chosen model failed; the panel does not show the first of each
      kind after a start. Clients do not notice, but pay in time or money: repair the first model's backend.
    |||, [[
      'sum by (from_model, to_model, reason) (rate(api_gateway_fallbacks_total{J}[I])) > 0',
      '{{from_model}} to {{to_model}}, {{reason}}',
    ]])
    + see('FallbackSurge', '{job="api-gateway"} | json | failed_attempts!=""'),
    timeseries(15, 'Requests in Progress', [16, 37, 8, 8], 'locale', |||
      Requests in flight, including streams, and the limit at which the gateway refuses new ones as overloaded; growth
      without more traffic means that a backend hangs.
    |||, [
      ['sum by (instance) (api_gateway_requests_in_progress{J})', '{{instance}}'],
      ['max(api_gateway_requests_in_progress_limit{J})', 'limit'],
    ]) + colors({ limit: 'red' }),

    timeseries(19, 'Retries', [0, 45, 12, 8], 'cps', |||
      Retries at the same backend, by the reason why the call before failed. upstream_429: the provider limits your
      traffic; for other reasons repair that backend. If a retry did not help, see Fallbacks or Errors by Reason.
    |||, [['sum by (upstream, reason) (rate(api_gateway_retries_total{J}[I]))', '{{upstream}} {{reason}}']])
   ,
    timeseries(20, 'Breakers Not Closed', [12, 45, 12, 8], 'locale', |||
      Number of gateways where a model's circuit breaker is open or half open, because the model failed too often or was
      too slow. Zero is good; if a line stays above zero for five minutes, BreakerOpen fires.
    |||, [[
      'sum by (upstream, model) (api_gateway_breaker_state{J,state!="closed"})',
      '{{model}} at {{upstream}}',
    ]]) + defaults({ decimals: 0 })
    + see('BreakerOpen'),

    table(25, 'Firing Alerts by Name', [0, 53, 8, 8], |||
      Alerts that fire in this Prometheus, on any gateway, and since when. A name leads to its runbook.
    |||, [
      'min by (alertname, severity) (ALERTS_FOR_STATE{alertname!="Watchdog"} and ignoring (alertstate) ALERTS{alertstate="firing",severity!="none"}) * 1000',
    ], [['alertname', 'Alert'], ['severity', 'Severity'], ['Value', 'Since']])
    + column('Since', { unit: 'dateTimeFromNow' })
    + column('Alert', { links: [{ title: 'Runbook', url: runbooks + '${__value.raw}.md', targetBlank: true }] }),
    stat(33, 'Error Budget Left (30d)', [8, 53, 4, 8], 'percentunit', |||
      Share left of the failures that the objective of 99 % allows in 30 days, at the traffic of these 30 days, as far back as
      Prometheus keeps samples. Below zero the objective is missed: slow down risky changes until it recovers.
    |||, [['1 - %s / %s / 0.01' % [failed('increase', '30d'), experienced('increase', '30d')], 'left']])
    + thresholds('red', [[0, 'orange'], [0.25, 'green']]) + defaults({ decimals: 0, noValue: 'no traffic' })
    + see('ErrorBudgetBurnSlow'),
    timeseries(26, 'Calls at Backends', [12, 53, 12, 8], 'locale', |||
      Calls in flight at each backend, and calls that wait for its concurrency limit. If calls wait, the backend is the
      bottleneck; when its queue is full, the gateway refuses requests as backend_full.
    |||, [['sum by (upstream, state) (api_gateway_upstream_calls{J})', '{{upstream}} {{state}}']]) + defaults({ decimals: 0 }),
    timeseries(27, 'Room in the Gateway', [0, 61, 8, 8], 'percentunit', |||
      Share in use of what the gateway may hold: requests in flight, and bytes of requests and answers. At 100 % it refuses
      requests as overloaded; BuffersNearlyFull fires at 80 % of the bytes.
    |||, [
      ['max(api_gateway_requests_in_progress{J} / api_gateway_requests_in_progress_limit{J})', 'requests'],
      ['max(api_gateway_buffered_bytes{J} / api_gateway_buffered_bytes_limit{J})', 'bytes'],
    ]) + defaults({ max: 1 })
    + see('BuffersNearlyFull'),
    timeseries(28, 'Abandoned Requests', [8, 61, 8, 8], 'reqps', |||
      Requests whose client did not take the whole answer: it disconnected, or read too slowly. They are no errors; many of
      them mean that people do not want to wait.
    |||, [['sum by (reason) (rate(api_gateway_abandoned_requests_total{J}[I]))', '{{reason}}']])
    + see('SlowResponses', '{job="api-gateway"} | json | ending="abandoned"'),
    timeseries(29, 'Lost to Logs and Bills', [16, 61, 8, 8], 'cps', |||
      Log lines that were dropped, frames of streams that no dialect knows, and calls whose output nobody knows. Zero is good:
      otherwise the log has gaps, a provider changed its API, or the spend is too low.
    |||, [
      ['sum(rate(api_gateway_log_lines_dropped_total{J}[I]))', 'log lines'],
      ['sum by (upstream) (rate(api_gateway_skipped_frames_total{J}[I]))', 'frames of {{upstream}}'],
      ['sum by (model) (rate(api_gateway_unaccounted_calls_total{J}[I]))', 'calls of {{model}}'],
    ]) + many
    + see('UnaccountedCalls'),

    row(18, 'Latency and Tokens', 69),
    heatmap(8, 'Response Latency Distribution', [0, 70, 12, 8], 's', |||
      How many requests took how long. Two bands are two kinds of requests or models, which a mean hides.
    |||, [['sum by (le) (increase(api_gateway_request_duration_seconds_bucket{J}[I]))', '{{le}}']]),
    timeseries(11, 'Time to First Token', [12, 70, 6, 8], 's', |||
      Half, 95 % and 99 % of all streamed answers begin within this time, and 95 % by model: what a person waits. If it grows
      and tokens do not, requests queue at the backend.
    |||, [
      ['histogram_quantile(%s, sum by (le) (rate(api_gateway_time_to_first_token_seconds_bucket{J}[I]))) >= 0' % q[0], 'all ' + q[1]]
      for q in [['0.50', 'p50'], ['0.95', 'p95'], ['0.99', 'p99']]
    ] + [[
      'histogram_quantile(0.95, sum by (model, le) (rate(api_gateway_time_to_first_token_seconds_bucket{J}[I]))) >= 0',
      '{{model}}',
    ]]) + quantiles
    + see('SlowFirstToken'),
    timeseries(10, 'Tokens per Second', [18, 70, 6, 8], 'short', |||
      Tokens of all models that the backends counted, and tokens that the gateway estimated if a backend reported none. Spend
      follows these; an estimate is not a bill. API Costs Over Time shows them by model, at their prices.
    |||, [
      ['sum by (type) (rate(api_gateway_tokens_total{J}[I]))', '{{type}}'],
      ['sum by (type) (rate(api_gateway_estimated_tokens_total{J}[I])) > 0', '{{type}} (estimated)'],
    ]),
    timeseries(30, 'Routing Latency', [0, 78, 8, 8], 's', |||
      Half, 95 % and 99 % of the routing decisions take at most this long, both policies included: what the gateway itself
      adds before a model is called.
    |||, [
      ['histogram_quantile(%s, sum by (le) (rate(api_gateway_routing_latency_seconds_bucket{J}[I]))) >= 0' % q[0], q[1]]
      for q in [['0.50', 'p50'], ['0.95', 'p95'], ['0.99', 'p99']]
    ]) + quantiles,
    timeseries(31, 'Model Latency p95', [8, 78, 8, 8], 's', |||
      95 % of the calls that gave the answer took at most this long at the backend. The difference to Response Latency by
      Model is what failed calls before, queues and slow clients added.
    |||, [[
      'histogram_quantile(0.95, sum by (model, le) (rate(api_gateway_model_latency_seconds_bucket{J}[I]))) >= 0',
      '{{model}}',
    ]]),
    timeseries(32, 'Hedges', [16, 78, 8, 8], 'reqps', |||
      Requests for which the next model was called in addition to a slow one. won: the next one answered; if most are lost,
      hedge_seconds is too short and costs money.
    |||, [['sum by (model, result) (rate(api_gateway_hedges_total{J}[I]))', '{{model}} {{result}}']])
    + colors({ won: 'green', lost: 'orange' }),

    row(34, 'Budgets', 86),
    table(35, 'Budgets by Group', [0, 87, 24, 8], |||
      A row for each dollar budget of a group; of several gateways, the one with most. Forecast: what is spent when the period
      ends if the group goes on as it has since the period began (its first twentieth tells too little and counts as one). In
      total, a budget has no end and no forecast.
    |||, [
      'max by (group, period) (api_gateway_budget_limit_usd{J})',
      'max by (group, period) (api_gateway_budget_spent_usd{J})',
      'max by (group, period) (api_gateway_budget_reserved_usd{J})',
      'min by (group, period) (api_gateway_budget_left_usd{J})',
      'max by (group, period) (1 - api_gateway_budget_left_usd{J} / (api_gateway_budget_limit_usd{J} > 0))',
      forecast,
      '%s / (max by (group, period) (api_gateway_budget_limit_usd{J}) > 0)' % forecast,
      'min by (group, period) (api_gateway_budget_window_remaining_seconds{J})',
      'sum by (group, period) (increase(api_gateway_limit_refusals_total{J,limit="usd"}[$__range]))',
    ], [
      ['group', 'Group'],
      ['period', 'Period'],
      ['Value #A', 'Budget'],
      ['Value #B', 'Spent'],
      ['Value #C', 'Reserved'],
      ['Value #D', 'Left'],
      ['Value #E', 'Used'],
      ['Value #F', 'Forecast'],
      ['Value #G', 'Of Budget'],
      ['Value #H', 'Ends in'],
      ['Value #I', 'Refused'],
    ])
    // So that all columns fit into a window of usual width.
    + defaults({ decimals: 0, custom+: { minWidth: 80 } })
    + column('Budget', { unit: 'currencyUSD', decimals: 2 })
    + column('Spent', { unit: 'currencyUSD', decimals: 4 })
    + column('Reserved', { unit: 'currencyUSD', decimals: 4 })
    + column('Left', { unit: 'currencyUSD', decimals: 4 })
    + column('Forecast', { unit: 'currencyUSD', decimals: 4 })
    + column('Used', { unit: 'percentunit', thresholds: used, 'custom.cellOptions': colored })
    + column('Of Budget', { unit: 'percentunit', thresholds: used, 'custom.cellOptions': colored })
    + column('Ends in', { unit: 's', decimals: 1 })
    + { options+: { sortBy: [{ displayName: 'Used', desc: true }] } }
    + see('BudgetExhausted'),
    timeseries(36, 'Budget Used', [0, 95, 8, 8], 'percentunit', |||
      Share of each dollar budget that is spent or reserved, of several gateways the one with most. It falls when a period ends.
      BudgetNearlyExhausted fires above 80 %.
    |||, [[
      'max by (group, period) (1 - api_gateway_budget_left_usd{J} / (api_gateway_budget_limit_usd{J} > 0))',
      '{{group}} a {{period}}',
    ]]) + defaults({ max: 1 })
    + see('BudgetNearlyExhausted'),
    timeseries(37, 'Spend by Group', [8, 95, 8, 8], 'suffix:$/h', |||
      Estimated spend per hour at the current pace, by the group whose keys clients sent. Spend of a group counts in the budgets of
      the groups above it too. Requests without a key are in API Costs Over Time only.
    |||, [['sum by (group) (rate(api_gateway_group_cost_total{J}[I])) * 3600', '{{group}}']])
    + see('HighAPICosts'),
    bars(38, 'Refused by Limits', [16, 95, 8, 8], 'reqps', |||
      Requests refused with 429 because a limit of a group had no room: requests, tokens, usd (a budget), or requests at a time
      (concurrent). An empty panel means that all limits have room.
    |||, [['sum by (group, limit, period) (rate(api_gateway_limit_refusals_total{J}[I])) > 0', '{{group}} {{limit}} {{period}}']])
    + see('BudgetExhausted', '{job="api-gateway"} | json | reason="limit_exceeded"'),
    timeseries(39, 'Unpriced Traffic', [0, 103, 12, 8], 'reqps', |||
      Answers of cloud models without a price, whose spend counts as 0 in all panels and budgets. Nothing is good: UnpricedTraffic
      fires otherwise. A group with a budget may not use them, unless its `allow_unpriced` is true.
    |||, [[
      'sum by (model) (rate(api_gateway_requests_total{J,status="success"}[I])) and on (model) (api_gateway_model_priced{J} == 0)',
      '{{model}}',
    ]]) + defaults({ noValue: 'no such model' })
    + see('UnpricedTraffic'),
    timeseries(40, 'Limits Used', [12, 103, 12, 8], 'percentunit', |||
      Share of the other limits of groups that is in use: requests and tokens in their periods, and requests at a time. At 100 %
      requests are refused with 429 until the period ends.
    |||, [[
      'max by (group, limit, period) (1 - api_gateway_limit_left{J} / (api_gateway_limit_max{J} > 0))',
      '{{group}} {{limit}} {{period}}',
    ]]) + defaults({ max: 1 }),
  ],
};

// Only routing policies decide and have an estimated cost: the cost of the models that they chose.
local cost = 'api_gateway_policy_estimated_cost_usd_total';
// The cost of the requests that active versions and canaries routed, by the tokens of their calls.
local billed = 'api_gateway_policy_billed_cost_usd_total';
// Decisions with a known estimated cost. A denial costs nothing; a pass or a failure is not the policy's own decision.
local decided = 'api_gateway_policy_decisions_total';
local verdicts = 'outcome=~"route|deny"';

// The share of the requests that both decided on which a shadow decided like the active version.
local compared(results, window) =
  'sum by (hook, slot, shadow_policy, shadow_version, shadow_revision) (rate(api_gateway_policy_shadow_comparisons_total{S,result=~"%s"}[%s]))' % [results, window];
local agreement(window) = '%s / %s >= 0' % [compared('agree', window), compared('agree|disagree', window)];

// The share of the requests routed by a version that succeeded.
local success(labels, matchers) =
  'sum by (%s) (increase(api_gateway_policy_requests_total%s[$__range])) / sum by (%s) (increase(api_gateway_policy_requests_total%s[$__range])) >= 0'
  % [labels, std.strReplace(matchers, '}', ',status="success"}'), labels, matchers];

local policies = dashboard(
  names.policies.uid,
  names.policies.title,
  'Which policies decide, what they choose, at what cost and success, and the results of shadows and reloads.',
  names.main
) {
  time: { from: 'now-6h', to: 'now' },
  templating+: { list+: [variable(label, std.asciiUpper(label[0]) + label[1:], 'api_gateway_policy_info{J}') for label in picked] },
  panels: [
    table(1, 'Policies at a Glance', [0, 0, 24, 9], |||
      A row for each version in a slot: its share of requests now (shadows decide none), and what it did in the shown range.
      vs Active: its success less the active version's; Agreement: how often a shadow decided like the active version. If its
      breaker is open, it failed too often and the gateway does not call it: roll it back or fix it.
    |||, [
      'sum by (V, digest) (api_gateway_policy_info{K})',
      'avg by (V) (api_gateway_policy_traffic_ratio{K})',
      'max by (V) (api_gateway_policy_breaker_open{K})',
      'sum by (V) (increase(%s{K}[$__range]))' % decided,
      'sum by (V) (increase(%s{K,backend="local"}[$__range])) / sum by (V) (increase(%s{K,backend=~"local|cloud"}[$__range])) >= 0' % [decided, decided],
      'sum by (V) (increase(%s{K}[$__range])) / sum by (V) (increase(%s{K,%s}[$__range])) >= 0' % [cost, decided, verdicts],
      'sum by (V) (increase(api_gateway_policy_failures_total{K}[$__range]))',
      'sum by (V) (increase(%s{K,outcome="fallback"}[$__range])) / sum by (V) (increase(%s{K}[$__range])) >= 0' % [decided, decided],
      'histogram_quantile(0.50, sum by (V, le) (increase(api_gateway_policy_evaluation_seconds_bucket{K}[$__range]))) >= 0',
      'histogram_quantile(0.99, sum by (V, le) (increase(api_gateway_policy_evaluation_seconds_bucket{K}[$__range]))) >= 0',
      success('V', '{K}'),
      'max by (V) (api_gateway_policy_info{K} * on (job, instance, slot, policy) group_left () api_gateway_policy_last_reload_success_timestamp_seconds{P}) * 1000',
      // Comparisons have labels of their own for the shadow.
      'sum by (V) (label_replace(label_replace(label_replace(label_replace(%s, "policy", "$1", "shadow_policy", "(.*)"), "version", "$1", "shadow_version", "(.*)"), "revision", "$1", "shadow_revision", "(.*)"), "mode", "shadow", "", ""))' % agreement('$__range'),
      'sum by (V) (increase(%s{K}[$__range])) / sum by (V) (increase(%s{K,%s}[$__range])) >= 0' % [billed, decided, verdicts],
      '(%s) - on (hook) group_left () (%s)' % [success('V', '{K}'), success('hook', '{J,mode="active"}')],
      'topk by (V) (1, sum by (V, model) (increase(%s{K}[$__range]))) / on (V) group_left () sum by (V) (increase(%s{K}[$__range])) >= 0' % [decided, decided],
    ], [[label, std.asciiUpper(label[0]) + label[1:]] for label in place if label != 'hook'] + [
      ['Value #B', 'Traffic'],
      ['Value #D', 'Decisions'],
      ['model', 'Most Chosen'],
      ['Value #P', 'Its Share'],
      ['Value #E', 'Local'],
      ['Value #F', 'Expected $'],
      ['Value #N', 'Billed $'],
      ['Value #K', 'Success'],
      ['Value #O', 'vs Active'],
      ['Value #M', 'Agreement'],
      ['Value #G', 'Failures'],
      ['Value #H', 'Fallbacks'],
      ['Value #I', 'p50'],
      ['Value #J', 'p99'],
      ['Value #C', 'Breaker'],
      ['Value #L', 'Since'],
      ['Value #A', 'Gateways'],
      ['digest', 'Digest'],
    ], hidden=['hook'])
    + defaults({ decimals: 0 })
    + column('Traffic', { unit: 'percentunit' })
    + column('Its Share', { unit: 'percentunit' })
    + column('Local', { unit: 'percentunit' })
    + column('Success', { unit: 'percentunit', decimals: 1 })
    + column('vs Active', { unit: 'percentunit', decimals: 1 })
    + column('Agreement', { unit: 'percentunit', decimals: 1 })
    + column('Fallbacks', { unit: 'percentunit', decimals: 1 })
    + column('Expected $', { unit: 'currencyUSD', decimals: 6 })
    + column('Billed $', { unit: 'currencyUSD', decimals: 6 })
    + column('p50', { unit: 's', decimals: 1 })
    + column('p99', { unit: 's', decimals: 1 })
    + column('Since', { unit: 'dateTimeFromNow' })
    + column('Breaker', { mappings: words('closed', 'open', bad=1), 'custom.cellOptions': colored })
    + see('PolicyBreakerOpen', policyLines),

    row(17, 'Decisions', 9),
    timeseries(2, 'Decisions by Outcome', [0, 10, 12, 8], 'reqps', |||
      What each version did with its requests: chose a model (route), refused (deny), had no opinion (pass), or failed,
      so that the default decided (fallback). If fallback is above zero, see Failures by Reason.
    |||, [[
      'sum by (V, outcome) (rate(%s{K}[I]))' % decided,
      placeLegend + ' {{outcome}}',
    ]]) + many + outcomes,
    piechart(3, 'Chosen Model', [12, 10, 6, 8], 'locale', |||
      Models that active and canary versions chose in the shown range; none: denied or passed. Fallbacks at backends do
      not change it: the main dashboard shows them.
    |||, [['sum by (model) (increase(%s{K,mode=~"active|canary"}[$__range]))' % decided, '{{model}}']]) + defaults({ decimals: 0 }),
    piechart(4, 'Local vs Cloud by Version', [18, 10, 6, 8], 'locale', |||
      Where the models run that each deciding version chose in the shown range. If a canary differs much from the active
      version, its promotion will change the bill.
    |||, [[
      'sum by (V, backend) (increase(%s{K,mode=~"active|canary"}[$__range]))' % decided,
      placeLegend + ' {{backend}}',
    ]]) + defaults({ decimals: 0 }),
    timeseries(9, 'Success Ratio by Version', [0, 18, 8, 8], 'percentunit', |||
      Share of the requests routed by a version that succeeded. A canary below the active version chooses models that
      fail: set its share to 0.
    |||, [[
      'sum by (V) (rate(api_gateway_policy_requests_total{K,status="success"}[I])) / sum by (V) (rate(api_gateway_policy_requests_total{K}[I])) >= 0',
      placeLegend,
    ]]) + defaults({ max: 1 })
    + see('CanaryErrorsHigh', failedRequests),
    timeseries(8, 'Estimated Cost: Live vs Shadow', [8, 18, 8, 8], 'suffix:$/h', |||
      US dollars per hour that the cost policy expects of the models each routing version chose. It grows with a
      version's traffic; to compare versions use Estimated Cost per Decision.
    |||, [[
      'sum by (V) (rate(%s{K}[I])) * 3600' % cost,
      placeLegend,
    ]]),
    timeseries(16, 'Estimated Cost per Decision', [16, 18, 8, 8], 'currencyUSD', |||
      US dollars that the cost policy expects of one decision of a version; denials count as 0. Here you can compare
      versions with different shares of the traffic before you promote one.
    |||, [[
      'sum by (V) (rate(%s{K}[I])) / sum by (V) (rate(%s{K,%s}[I])) >= 0' % [cost, decided, verdicts],
      placeLegend,
    ]]),

    timeseries(21, 'Expected and Billed', [0, 26, 10, 8], 'suffix:$/h', |||
      What the cost policy expected of the deciding versions' choices, and what the same requests cost by the tokens of their
      calls. If billed is above expected, answers are longer than expected, or calls failed and others were paid.
    |||, [
      ['sum(rate(%s{K,mode=~"active|canary"}[I])) * 3600' % cost, 'expected'],
      ['sum(rate(%s{K}[I])) * 3600' % billed, 'billed'],
    ]) + colors({ expected: 'blue', billed: 'orange' }) + see('HighAPICosts'),
    table(24, 'Chosen Models by Version', [10, 26, 14, 8], |||
      Which models each version in a slot chose in the shown range, and where they run; none: denied, or passed to the default.
      Fallback decisions, which the default made, count as well.
    |||, [
      'sum by (slot, policy, version, revision, model, backend) (increase(%s{K}[$__range])) > 0' % decided,
    ], [
      ['slot', 'Slot'],
      ['policy', 'Policy'],
      ['version', 'Version'],
      ['revision', 'Revision'],
      ['model', 'Model'],
      ['backend', 'Runs'],
      ['Value', 'Decisions'],
    ])
    + defaults({ decimals: 0 })
    + { options+: { sortBy: [{ displayName: 'Decisions', desc: true }] } },

    table(25, 'Canary Compared', [0, 34, 24, 6], |||
      Between which bounds a canary differs from the active version: failed requests in points of percent, time of answers relative
      to the active version's, cost of one request in dollars. If both bounds are above zero it is worse, if both are below zero it
      is better; all hold together with 95 %, whenever you look. Without bounds there are too few requests, or no prices.
    |||, [
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="failures",bound="low"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="failures",bound="high"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="latency",bound="low"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="latency",bound="high"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="cost",bound="low"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_bound{K,measure="cost",bound="high"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_requests{K,measure="failures",decided_by="canary"})',
      'max by (slot, policy, version, revision) (api_gateway_canary_comparison_requests{K,measure="failures",decided_by="active"})',
    ], [
      ['slot', 'Slot'],
      ['policy', 'Policy'],
      ['version', 'Version'],
      ['revision', 'Revision'],
      ['Value #A', 'Failures from'],
      ['Value #B', 'Failures to'],
      ['Value #C', 'Time from'],
      ['Value #D', 'Time to'],
      ['Value #E', 'Cost from'],
      ['Value #F', 'Cost to'],
      ['Value #G', 'Canary Requests'],
      ['Value #H', 'Active Requests'],
    ])
    + defaults({ decimals: 0 })
    + column('Failures from', { unit: 'percentunit', decimals: 1 })
    + column('Failures to', { unit: 'percentunit', decimals: 1 })
    + column('Time from', { unit: 'percentunit', decimals: 1 })
    + column('Time to', { unit: 'percentunit', decimals: 1 })
    + column('Cost from', { unit: 'currencyUSD', decimals: 6 })
    + column('Cost to', { unit: 'currencyUSD', decimals: 6 })
    + see('CanaryErrorsHigh', failedRequests),

    row(18, 'Failures and Latency', 40),
    bars(6, 'Failures by Reason', [0, 41, 12, 8], 'cps', |||
      Calls of a version that returned no valid answer, by class; an empty panel is good. The log has the details;
      breaker_open: it failed so often that the gateway does not call it.
    |||, [[
      'sum by (V, reason) (rate(api_gateway_policy_failures_total{K}[I])) > 0',
      placeLegend + ' {{reason}}',
    ]]) + many
    + see('PolicyTrapping', policyLines),
    timeseries(5, 'Evaluation Latency', [12, 41, 12, 8], 's', |||
      Half and 99 % of a version's calls take at most this long, including failed calls. Each request waits for one
      routing and one cost policy; no request waits for a shadow.
    |||, [
      [
        'histogram_quantile(%s, sum by (V, le) (rate(api_gateway_policy_evaluation_seconds_bucket{K}[I]))) >= 0' % q[0],
        placeLegend + ' ' + q[1],
      ]
      for q in [['0.50', 'p50'], ['0.95', 'p95'], ['0.99', 'p99']]
    ]) + many
    + see('PolicyLatencyHigh'),

    row(19, 'Shadows', 49),
    timeseries(7, 'Shadow Agreement', [0, 50, 8, 8], 'percentunit', |||
      Share of compared requests that a shadow would have decided the same (agrees), and share of all requests that the
      gateway sent to it (asked). Much disagreement: read Shadow Choices before you promote; few asked: the machine is
      busy.
    |||, [
      [
        agreement('$__rate_interval'),
        '{{slot}} {{shadow_policy}} {{shadow_version}} {{shadow_revision}} agrees',
      ],
      [
        'sum by (hook, slot, shadow_policy, shadow_version, shadow_revision) (rate(api_gateway_policy_shadow_comparisons_total{S,result!="skipped"}[I])) / sum by (hook, slot, shadow_policy, shadow_version, shadow_revision) (rate(api_gateway_policy_shadow_comparisons_total{S}[I])) >= 0',
        '{{slot}} {{shadow_policy}} {{shadow_version}} {{shadow_revision}} asked',
      ],
    ]) + defaults({ max: 1 })
    + see('ShadowDisagreement'),
    // A shadow sees the requests that the active version decides, less the skipped ones. Its mean stands for all of them.
    timeseries(13, 'Saved if the Shadow Decided', [8, 50, 8, 8], 'percentunit', |||
      Share of the active version's expected cost per decision that a routing shadow's choices would save, as the cost policy
      expects both. Below zero the shadow is more expensive. Expected and Billed shows how much the expectation is worth.
    |||, [[
      '1 - sum by (V) (rate(%(cost)s{K,mode="shadow"}[I])) / (sum by (V) (rate(%(decided)s{K,mode="shadow",%(verdicts)s}[I])) > 0) / on () group_left () (sum(rate(%(cost)s{J,mode="active"}[I])) / sum(rate(%(decided)s{J,mode="active",%(verdicts)s}[I])) > 0)'
      % { cost: cost, decided: decided, verdicts: verdicts },
      placeLegend,
    ]]) + signed + defaults({ max: 1 }),
    table(14, 'Shadow Choices', [16, 50, 8, 8], |||
      Model that the active version chose and model that a shadow would have chosen, in the shown range, less the first
      request of each pair; none: denied. Rows with two models show what a promotion changes.
    |||, [
      'sum by (slot, shadow_policy, shadow_version, shadow_revision, active_model, shadow_model) (increase(api_gateway_policy_shadow_choices_total{S}[$__range]))',
    ], [
      ['slot', 'Slot'],
      ['shadow_policy', 'Shadow'],
      ['shadow_version', 'Version'],
      ['shadow_revision', 'Revision'],
      ['active_model', 'Active chose'],
      ['shadow_model', 'Shadow chose'],
      ['Value', 'Requests'],
    ])
    + defaults({ decimals: 0 })
    + { options+: { sortBy: [{ displayName: 'Requests', desc: true }] } },

    row(20, 'Reloads and Resources', 58),
    table(15, 'Last Reload', [0, 59, 8, 8], |||
      Whether the version that a policy's files request serves, the stage that it did not pass, and when the policy last
      started to serve. refused: the version before keeps serving; wasmgate policies list says why.
    |||, [
      'min by (slot, policy, stage) (api_gateway_policy_last_reload_successful{P} * on (job, instance, slot, policy) group_right () api_gateway_policy_last_reload_info{P})',
      'max by (slot, policy) (api_gateway_policy_last_reload_success_timestamp_seconds{P}) * 1000',
    ], [
      ['slot', 'Slot'],
      ['policy', 'Policy'],
      ['Value #A', 'Last change'],
      ['stage', 'Refused at'],
      ['Value #B', 'Serves since'],
    ])
    + column('Last change', { mappings: words('refused', 'serves', bad=0), 'custom.cellOptions': colored })
    + column('Refused at', { mappings: [{
      type: 'value',
      options: {
        serves: { text: '–' },
        missing: { text: 'no file' },
        rolled_back: { text: 'rolled back' },
      },
    }] })
    + column('Serves since', { unit: 'dateTimeFromNow' })
    + see('PolicyReloadRejected', policyLines),
    bars(10, 'Reloads by Result', [8, 59, 8, 8], 'locale', |||
      Changes of policies' files and of the configuration, by result. rejected_*: the gateway refused it, and nothing
      changed; rolled_back: it served and failed too often.
    |||, [
      ['sum by (slot, policy, result) (increase(api_gateway_policy_reloads_total{P}[I])) > 0', '{{slot}} {{policy}} {{result}}'],
      ['sum by (result) (increase(api_gateway_config_reloads_total{J}[I])) > 0', 'configuration {{result}}'],
    ]),
    timeseries(11, 'Instances', [16, 59, 4, 8], 'locale', |||
      Guest instances, waiting (idle) and in a call (busy). If busy ones reach limits.concurrent_calls, more calls fail
      as saturated.
    |||, [['sum by (slot, policy, state) (api_gateway_policy_instances{K})', '{{slot}} {{policy}} {{state}}']]),
    timeseries(12, 'Memory', [20, 59, 4, 8], 'bytes', |||
      Largest memory of a policy's instances in each interval; of one in a call, that after its last call. If it grows from call
      to call, the policy leaks; limits.instance_memory_bytes makes the gateway replace such an instance.
    |||, [['max by (slot, policy) (max_over_time(api_gateway_policy_memory_bytes{K}[I]))', '{{slot}} {{policy}}']]),
    timeseries(22, 'Snapshots', [0, 67, 12, 8], 'locale', |||
      Snapshots of policies and models that requests hold, with the serving one. After a swap the old one stays until its last
      request ends.
    |||, [['sum by (instance) (api_gateway_live_snapshots{J})', '{{instance}}']]) + defaults({ decimals: 0 }),
    timeseries(23, 'Oldest Draining Snapshot', [12, 67, 12, 8], 's', |||
      How long the oldest replaced snapshot has been held by a request. If it only grows, one stream does not end, and what was
      replaced still serves it.
    |||, [['max by (instance) (api_gateway_oldest_snapshot_draining_seconds{J})', '{{instance}}']]),
  ],
};

{
  'hybrid-ai-stack-dashboard.json': main,
  'policies-dashboard.json': policies,
}
