// Both dashboards. jsonnet 0.18 generates the two JSON files in this folder from this file:
//
//     cd monitoring/grafana && jsonnet -m . dashboards.jsonnet
//
// In queries {J} selects the gateways that the user picked, {K} these gateways and the policies that the user picked, and
// [I] is Grafana's own interval. `>= 0` after a quotient or a quantile drops series without events: NaN is not >= 0.

local query(text) = std.foldl(
  function(text, short) std.strReplace(text, short[0], short[1]),
  [
    ['{J', '{job=~"$job",instance=~"$instance"'],
    ['{K', '{job=~"$job",instance=~"$instance",policy=~"$policy"'],
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

// --- Kinds of panels; `place` is [x, y, width, height] ---

local panel(type, id, title, place, unit, description) = {
  type: type,
  id: id,
  title: title,
  description: std.strReplace(std.rstripChars(description, '\n'), '\n', ' '),
  datasource: datasource,
  gridPos: { x: place[0], y: place[1], w: place[2], h: place[3] },
  fieldConfig: { defaults: { unit: unit }, overrides: [] },
};

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
  panel('timeseries', id, title, place, unit, description) {
    targets: targets(queries, { range: true }),
    fieldConfig+: { defaults+: { custom: { drawStyle: 'line', fillOpacity: 10 } } },
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
  panel('piechart', id, title, place, unit, description) {
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
// table, in their order. The value of query A is `Value #A`, or `Value` if there is no other query.
local table(id, title, place, description, queries, columns) =
  panel('table', id, title, place, 'short', description) {
    targets: targets([[text, ''] for text in queries], once { format: 'table' }),
    fieldConfig+: { defaults+: { custom: { align: 'left', cellOptions: { type: 'auto' }, inspect: false } } },
    options: { frameIndex: 0, showHeader: true },
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
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
        '{{policy}} loaded'
      ),
      annotation(
        'Refused reloads',
        'red',
        'sum by (policy, result) (increase(api_gateway_policy_reloads_total{J,result=~"rejected_.+|rolled_back"}[I])) > 0',
        '{{policy}}: {{result}}'
      ),
    ],
  },
  links: [{
    type: 'link',
    title: other.title,
    url: '/d/' + other.uid,
    icon: 'dashboard',
    tooltip: '',
    tags: [],
    asDropdown: false,
    includeVars: true,
    keepTime: true,
    targetBlank: false,
  }],
};

local names = {
  main: { uid: 'hybrid-ai-stack', title: 'Hybrid AI Stack - Main Dashboard' },
  policies: { uid: 'hybrid-ai-stack-policies', title: 'Hybrid AI Stack - Policies' },
};

local main = dashboard(
  names.main.uid,
  names.main.title,
  'Traffic, spend, latency and failures of the gateway.',
  names.policies
) {
  time: { from: 'now-24h', to: 'now' },
  panels: [
    stat(1, 'Total Requests (24h)', [0, 0, 6, 4], 'short', |||
      Requests that reached routing and ended in the last 24 hours, whatever range is shown. Rejected Requests by Reason
      shows requests rejected before routing.
    |||, [['sum(increase(api_gateway_requests_total{J}[24h]))', 'requests']]),
    piechart(2, 'Local vs Cloud Requests', [6, 0, 6, 4], 'short', |||
      Where models answered the requests of the shown range; none: the request reached no model. More cloud than you
      planned costs money: the policies' dashboard shows which policy decides so.
    |||, [['sum by (backend) (increase(api_gateway_requests_total{J}[$__range]))', '{{backend}}']]),
    stat(3, 'Total API Costs (30d)', [12, 0, 6, 4], 'currencyUSD', |||
      Estimated spend of the last 30 days, as far back as Prometheus keeps samples. Compare it with the providers'
      bills: models without a price count as 0.
    |||, [['sum(increase(api_gateway_cost_total{J}[30d]))', 'spend']]),
    stat(4, 'Average Latency', [18, 0, 6, 4], 's', |||
      Mean time of a whole request, to the last byte of its answer, as of now. Long answers are slow answers: look at
      Response Latency by Model before you blame a model.
    |||, [[
      'sum(rate(api_gateway_request_duration_seconds_sum{J}[I])) / sum(rate(api_gateway_request_duration_seconds_count{J}[I])) >= 0',
      'mean',
    ]]) + defaults({ noValue: 'no traffic' }),
    timeseries(5, 'Requests by Model Over Time', [0, 4, 12, 8], 'reqps', |||
      Requests that ended, by the model that answered. If a model drops to zero while others grow, it failed or policies
      no longer choose it.
    |||, [['sum by (model) (rate(api_gateway_requests_total{J}[I]))', '{{model}}']]) + defaults({ min: 0 }),
    timeseries(6, 'Cost Accumulation', [12, 4, 12, 8], 'currencyUSD', |||
      At each point, the estimated spend of one shown range up to that point; at the right edge, the spend of the shown
      range. If a line climbs, its model became more expensive, or policies choose it more often.
    |||, [['sum by (model) (increase(api_gateway_cost_total{J}[$__range]))', '{{model}}']]) + defaults({ min: 0 }),
    timeseries(7, 'Response Latency by Model', [0, 12, 24, 8], 's', |||
      Half, 95 % and 99 % of a model's requests end within this time. A p99 far above p50 means that few requests
      suffer: find them in the log by their duration.
    |||, [
      [
        'histogram_quantile(%s, sum by (model, le) (rate(api_gateway_request_duration_seconds_bucket{J}[I]))) >= 0' % q[0],
        '{{model}} ' + q[1],
      ]
      for q in [['0.50', 'p50'], ['0.95', 'p95'], ['0.99', 'p99']]
    ]) + defaults({ min: 0 }),

    row(17, 'Failures', 20),
    stat(14, 'Gateway and Backends', [0, 21, 6, 8], 'short', |||
      Whether the gateway can serve, and whether each backend answers. Policies see which backend is down and choose
      others: repair it before the others are overloaded or the cost rises.
    |||, [
      ['min(api_gateway_health{J})', 'gateway'],
      ['min by (upstream) (api_gateway_upstream_up{J})', '{{upstream}}'],
    ]) + defaults({ mappings: words('down', 'up', bad=0) }) + { options+: { colorMode: 'background', orientation: 'horizontal' } },
    timeseries(9, 'Error Ratio', [6, 21, 9, 8], 'percentunit', |||
      Share of requests that failed in the gateway or at a backend: all requests, and by the model called last.
      HighErrorRate fires above 10 % of all requests.
    |||, [
      ['sum(rate(api_gateway_requests_total{J,status="error"}[I])) / sum(rate(api_gateway_requests_total{J}[I])) >= 0', 'all'],
      [
        'sum by (model) (rate(api_gateway_requests_total{J,status="error"}[I])) / sum by (model) (rate(api_gateway_requests_total{J}[I])) >= 0',
        '{{model}}',
      ],
    ]) + defaults({ min: 0 }),
    bars(13, 'Errors by Reason', [15, 21, 9, 8], 'reqps', |||
      Why requests failed, and where the model runs; none: the request reached no model. timeout, connect, upstream_*
      and protocol are a backend's failures, internal and shutdown the gateway's.
    |||, [['sum by (backend, reason) (rate(api_gateway_errors_total{J}[I])) > 0', '{{backend}} {{reason}}']]),
    bars(12, 'Rejected Requests by Reason', [0, 29, 8, 8], 'reqps', |||
      Requests that the gateway rejected before it called a model. overloaded: too many in flight, in the gateway or at
      a backend, so raise the limit; policy_denied: a policy refuses; the others are mistakes of clients.
    |||, [['sum by (reason) (rate(api_gateway_rejected_requests_total{J}[I])) > 0', '{{reason}}']]),
    bars(16, 'Fallbacks', [8, 29, 8, 8], 'reqps', |||
      Requests that another model answered because the chosen model failed; the panel does not show the first of each
      kind after a start. Clients do not notice, but pay in time or money: repair the first model's backend.
    |||, [[
      'sum by (from_model, to_model, reason) (rate(api_gateway_fallbacks_total{J}[I])) > 0',
      '{{from_model}} to {{to_model}}, {{reason}}',
    ]]),
    timeseries(15, 'Requests in Progress', [16, 29, 8, 8], 'short', |||
      Requests in flight, including streams. At server.max_in_flight the gateway refuses new ones as overloaded; growth
      without more traffic means that a backend hangs.
    |||, [['sum by (instance) (api_gateway_requests_in_progress{J})', '{{instance}}']]) + defaults({ min: 0 }),

    timeseries(19, 'Retries', [0, 37, 12, 8], 'cps', |||
      Retries at the same backend, by the reason why the call before failed. upstream_429: the provider limits your
      traffic; for other reasons repair that backend. If a retry did not help, see Fallbacks or Errors by Reason.
    |||, [['sum by (upstream, reason) (rate(api_gateway_retries_total{J}[I]))', '{{upstream}} {{reason}}']])
    + defaults({ min: 0 }),
    timeseries(20, 'Breakers Not Closed', [12, 37, 12, 8], 'short', |||
      Number of gateways where a model's circuit breaker is open or half open, because the model failed too often or was
      too slow. Zero is good; if a line stays above zero for five minutes, BreakerOpen fires.
    |||, [[
      'sum by (upstream, model) (api_gateway_breaker_state{J,state!="closed"})',
      '{{model}} at {{upstream}}',
    ]]) + defaults({ min: 0, decimals: 0 }),

    row(18, 'Latency and Tokens', 45),
    heatmap(8, 'Response Latency Distribution', [0, 46, 12, 8], 's', |||
      How many requests took how long. Two bands are two kinds of requests or models, which a mean hides.
    |||, [['sum by (le) (increase(api_gateway_request_duration_seconds_bucket{J}[I]))', '{{le}}']]),
    timeseries(11, 'Time to First Token p95', [12, 46, 6, 8], 's', |||
      95 % of streamed answers begin within this time: what a person waits. If it grows and tokens do not, requests
      queue at the backend.
    |||, [[
      'histogram_quantile(0.95, sum by (model, le) (rate(api_gateway_time_to_first_token_seconds_bucket{J}[I]))) >= 0',
      '{{model}}',
    ]]) + defaults({ min: 0 }),
    timeseries(10, 'Tokens per Second', [18, 46, 6, 8], 'short', |||
      Tokens that the backends counted, and tokens that the gateway estimated if a backend reported none. Spend follows
      these; an estimate is not a bill.
    |||, [
      ['sum by (model, type) (rate(api_gateway_tokens_total{J}[I]))', '{{model}} {{type}}'],
      ['sum by (model, type) (rate(api_gateway_estimated_tokens_total{J}[I])) > 0', '{{model}} {{type}} (estimated)'],
    ]) + defaults({ min: 0 }),
  ],
};

// Only routing policies decide and have an estimated cost: the cost of the models that they chose.
local cost = 'api_gateway_policy_estimated_cost_usd_total';
// Decisions with a known estimated cost. A denial costs nothing; a pass or a failure is not the policy's own decision.
local decided = 'api_gateway_policy_decisions_total';
local verdicts = 'outcome=~"route|deny"';

local policies = dashboard(
  names.policies.uid,
  names.policies.title,
  'Which policies decide, what they choose, at what cost and success, and the results of shadows and reloads.',
  names.main
) {
  time: { from: 'now-6h', to: 'now' },
  templating+: { list+: [variable('policy', 'Policy', 'api_gateway_policy_info{J}')] },
  panels: [
    table(1, 'Policies Loaded', [0, 0, 24, 7], |||
      Versions in place now, on how many gateways, and the share of requests that each decides; shadows decide none. If
      a version's breaker is open, it failed too often and the gateway does not call it: roll it back or fix it.
    |||, [
      'sum by (policy, version, mode, digest) (api_gateway_policy_info{K})',
      // The share has no mode: a shadow of the active component would show its share, and a canary of it shows both shares.
      'avg by (policy, version, mode, digest) (api_gateway_policy_info{K,mode!="shadow"} * on (job, instance, policy, version) group_left () api_gateway_policy_traffic_ratio{K})',
      'max by (policy, version, mode, digest) (api_gateway_policy_info{K} * on (job, instance, policy, version, mode) group_left () api_gateway_policy_breaker_open{K})',
    ], [
      ['policy', 'Policy'],
      ['version', 'Version'],
      ['mode', 'Mode'],
      ['Value #B', 'Traffic'],
      ['Value #C', 'Breaker'],
      ['Value #A', 'Gateways'],
      ['digest', 'Digest'],
    ])
    + column('Traffic', { unit: 'percentunit' })
    + column('Breaker', { mappings: words('closed', 'open', bad=1), 'custom.cellOptions': colored }),

    row(17, 'Decisions', 7),
    timeseries(2, 'Decisions by Outcome', [0, 8, 12, 8], 'reqps', |||
      What each version did with its requests: chose a model (route), refused (deny), had no opinion (pass), or failed,
      so that the default decided (fallback). If fallback is above zero, see Failures by Reason.
    |||, [[
      'sum by (policy, version, mode, outcome) (rate(%s{K}[I]))' % decided,
      '{{policy}} {{version}} {{mode}} {{outcome}}',
    ]]) + defaults({ min: 0 }),
    piechart(3, 'Chosen Model', [12, 8, 6, 8], 'short', |||
      Models that active and canary versions chose in the shown range; none: denied or passed. Fallbacks at backends do
      not change it: the main dashboard shows them.
    |||, [['sum by (model) (increase(%s{K,mode=~"active|canary"}[$__range]))' % decided, '{{model}}']]),
    piechart(4, 'Local vs Cloud by Version', [18, 8, 6, 8], 'short', |||
      Where the models run that each deciding version chose in the shown range. If a canary differs much from the active
      version, its promotion will change the bill.
    |||, [[
      'sum by (policy, version, mode, backend) (increase(%s{K,mode=~"active|canary"}[$__range]))' % decided,
      '{{policy}} {{version}} {{mode}} {{backend}}',
    ]]),
    timeseries(9, 'Success Ratio by Version', [0, 16, 8, 8], 'percentunit', |||
      Share of the requests routed by a version that succeeded. A canary below the active version chooses models that
      fail: set its share to 0.
    |||, [[
      'sum by (policy, version, mode) (rate(api_gateway_policy_requests_total{K,status="success"}[I])) / sum by (policy, version, mode) (rate(api_gateway_policy_requests_total{K}[I])) >= 0',
      '{{policy}} {{version}} {{mode}}',
    ]]) + defaults({ max: 1 }),
    timeseries(8, 'Estimated Cost: Live vs Shadow', [8, 16, 8, 8], 'currencyUSD', |||
      US dollars per hour that the cost policy expects of the models each routing version chose. It grows with a
      version's traffic; to compare versions use Estimated Cost per Decision.
    |||, [[
      'sum by (policy, version, mode) (rate(%s{K}[I])) * 3600' % cost,
      '{{policy}} {{version}} {{mode}}',
    ]]) + defaults({ min: 0 }),
    timeseries(16, 'Estimated Cost per Decision', [16, 16, 8, 8], 'currencyUSD', |||
      US dollars that the cost policy expects of one decision of a version; denials count as 0. Here you can compare
      versions with different shares of the traffic before you promote one.
    |||, [[
      'sum by (policy, version, mode) (rate(%s{K}[I])) / sum by (policy, version, mode) (rate(%s{K,%s}[I])) >= 0' % [cost, decided, verdicts],
      '{{policy}} {{version}} {{mode}}',
    ]]) + defaults({ min: 0 }),

    row(18, 'Failures and Latency', 24),
    bars(6, 'Failures by Reason', [0, 25, 12, 8], 'cps', |||
      Calls of a version that returned no valid answer, by class; an empty panel is good. The log has the details;
      breaker_open: it failed so often that the gateway does not call it.
    |||, [[
      'sum by (policy, version, mode, reason) (rate(api_gateway_policy_failures_total{K}[I])) > 0',
      '{{policy}} {{version}} {{mode}} {{reason}}',
    ]]),
    timeseries(5, 'Evaluation Latency', [12, 25, 12, 8], 's', |||
      Half and 99 % of a version's calls take at most this long, including failed calls. Each request waits for one
      routing and one cost policy; no request waits for a shadow.
    |||, [
      [
        'histogram_quantile(%s, sum by (policy, version, mode, le) (rate(api_gateway_policy_evaluation_seconds_bucket{K}[I]))) >= 0' % q[0],
        '{{policy}} {{version}} {{mode}} ' + q[1],
      ]
      for q in [['0.50', 'p50'], ['0.99', 'p99']]
    ]) + defaults({ min: 0 }),

    row(19, 'Shadows', 33),
    timeseries(7, 'Shadow Agreement', [0, 34, 8, 8], 'percentunit', |||
      Share of compared requests that a shadow would have decided the same (agrees), and share of all requests that the
      gateway sent to it (asked). Much disagreement: read Shadow Choices before you promote; few asked: the machine is
      busy.
    |||, [
      [
        'sum by (shadow_policy, shadow_version) (rate(api_gateway_policy_shadow_comparisons_total{J,shadow_policy=~"$policy",result="agree"}[I])) / sum by (shadow_policy, shadow_version) (rate(api_gateway_policy_shadow_comparisons_total{J,shadow_policy=~"$policy",result=~"agree|disagree"}[I])) >= 0',
        '{{shadow_policy}} {{shadow_version}} agrees',
      ],
      [
        'sum by (shadow_policy, shadow_version) (rate(api_gateway_policy_shadow_comparisons_total{J,shadow_policy=~"$policy",result!="skipped"}[I])) / sum by (shadow_policy, shadow_version) (rate(api_gateway_policy_shadow_comparisons_total{J,shadow_policy=~"$policy"}[I])) >= 0',
        '{{shadow_policy}} {{shadow_version}} asked',
      ],
    ]) + defaults({ min: 0, max: 1 }),
    // A shadow sees the requests that the active version decides, less the skipped ones. Its mean stands for all of them.
    timeseries(13, 'Saved if the Shadow Decided', [8, 34, 8, 8], 'currencyUSD', |||
      US dollars per hour that a routing shadow's choices would have cost less than the active version's, as the cost
      policy expects; it excludes the canary's requests. Below zero the shadow is more expensive.
    |||, [[
      '3600 * (sum(rate(%(cost)s{J,mode="active"}[I])) - on () group_right () sum by (policy, version) (rate(%(cost)s{K,mode="shadow"}[I])) / (sum by (policy, version) (rate(%(decided)s{K,mode="shadow",%(verdicts)s}[I])) > 0) * on () group_left () sum(rate(%(decided)s{J,mode="active",%(verdicts)s}[I])))'
      % { cost: cost, decided: decided, verdicts: verdicts },
      '{{policy}} {{version}}',
    ]]),
    table(14, 'Shadow Choices', [16, 34, 8, 8], |||
      Model that the active version chose and model that a shadow would have chosen, in the shown range, less the first
      request of each pair; none: denied. Rows with two models show what a promotion changes.
    |||, [
      'sum by (shadow_policy, shadow_version, active_model, shadow_model) (increase(api_gateway_policy_shadow_choices_total{J,shadow_policy=~"$policy"}[$__range]))',
    ], [
      ['shadow_policy', 'Shadow'],
      ['shadow_version', 'Version'],
      ['active_model', 'Active chose'],
      ['shadow_model', 'Shadow chose'],
      ['Value', 'Requests'],
    ])
    + defaults({ decimals: 0 })
    + { options+: { sortBy: [{ displayName: 'Requests', desc: true }] } },

    row(20, 'Reloads and Resources', 42),
    table(15, 'Last Reload', [0, 43, 8, 8], |||
      Whether the version that a policy's files request serves, and when the policy last started to serve. refused: the
      version before keeps serving; wasmgate policies list says why.
    |||, [
      'min by (policy) (api_gateway_policy_last_reload_successful{K})',
      'max by (policy) (api_gateway_policy_last_reload_success_timestamp_seconds{K}) * 1000',
    ], [
      ['policy', 'Policy'],
      ['Value #A', 'Last change'],
      ['Value #B', 'Serves since'],
    ])
    + column('Last change', { mappings: words('refused', 'serves', bad=0), 'custom.cellOptions': colored })
    + column('Serves since', { unit: 'dateTimeFromNow' }),
    bars(10, 'Reloads by Result', [8, 43, 8, 8], 'short', |||
      Changes of policies' files and of the configuration, by result. rejected_*: the gateway refused it, and nothing
      changed; rolled_back: it served and failed too often.
    |||, [
      ['sum by (policy, result) (increase(api_gateway_policy_reloads_total{K}[I])) > 0', '{{policy}} {{result}}'],
      ['sum by (result) (increase(api_gateway_config_reloads_total{J}[I])) > 0', 'configuration {{result}}'],
    ]),
    timeseries(11, 'Instances', [16, 43, 4, 8], 'short', |||
      Guest instances, waiting (idle) and in a call (busy). If busy ones reach limits.concurrent_calls, more calls fail
      as saturated.
    |||, [['sum by (policy, state) (api_gateway_policy_instances{K})', '{{policy}} {{state}}']]) + defaults({ min: 0 }),
    timeseries(12, 'Memory', [20, 43, 4, 8], 'bytes', |||
      Largest memory of a policy's idle instances. If it grows from call to call, the policy leaks;
      limits.instance_memory_bytes makes the gateway replace such an instance.
    |||, [['max by (policy) (api_gateway_policy_memory_bytes{K})', '{{policy}}']]) + defaults({ min: 0 }),
  ],
};

{
  'hybrid-ai-stack-dashboard.json': main,
  'policies-dashboard.json': policies,
}
