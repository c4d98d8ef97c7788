// What a dashboard of ours is, in the types of Grafana's own package: schema.mjs makes a JSON Schema of it. What is not
// that package's is said here, with the reason. The package is found where schema.mjs says, not beside this file.

import type { AnnotationQuery, Dashboard as Any, DataQuery, FieldConfig, GridPos, Panel, RowPanel } from '@grafana/schema';
import type * as heatmap from '@grafana/schema/raw/composable/heatmap/panelcfg/x/types.gen';
import type * as piechart from '@grafana/schema/raw/composable/piechart/panelcfg/x/types.gen';
import type * as stat from '@grafana/schema/raw/composable/stat/panelcfg/x/types.gen';
import type * as table from '@grafana/schema/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from '@grafana/schema/raw/composable/timeseries/panelcfg/x/types.gen';

export interface Dashboard extends Omit<Any, 'panels' | 'annotations'> {
  // Grafana makes these up where they are missing, other ones at each start.
  title: string;
  uid: string;
  panels: AnyPanel[];
  annotations: { list: PrometheusAnnotation[] };
}

/** @discriminator type */
export type AnyPanel =
  | Of<'stat', stat.Options, {}>
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Of<'piechart', piechart.Options, piechart.FieldConfig>
  | Of<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Of<'table', table.Options, table.FieldConfig>
  | Row;

// A collapsed row would hold panels of Grafana's own loose kind.
interface Row extends Omit<RowPanel, 'panels'> {
  title: string;
  gridPos: GridPos;
  panels: [];
}

// In Grafana's own Panel `type` is any text, options and queries are anything, and all else may be missing.
interface Of<Type extends string, Options, Custom>
  extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'datasource' | 'transformations'> {
  type: Type;
  id: number;
  title: string;
  description: string;
  gridPos: GridPos;
  datasource: PrometheusRef;
  options: Options;
  targets: PrometheusQuery[];
  transformations?: Transformation[];
  fieldConfig: {
    defaults: Fields<Custom>;
    overrides: {
      matcher: { id: 'byName' | 'byRegexp'; options: string };
      properties: { id: string; value: unknown }[];
    }[];
  };
}

interface Fields<Custom> extends Omit<FieldConfig, 'custom'> {
  custom?: Custom;
}

// What overrides may set, by the type of their panel: an override's `id` is the path of one of these fields.
export interface Overridden {
  stat?: Fields<{}>;
  timeseries?: Fields<Partial<timeseries.FieldConfig>>;
  piechart?: Fields<Partial<piechart.FieldConfig>>;
  heatmap?: Fields<Partial<heatmap.FieldConfig>>;
  table?: Fields<Partial<table.FieldConfig>>;
}

// Those that we use: which there are, and their options, is not in the package.
type Transformation =
  | { id: 'merge'; options: {} }
  | {
      id: 'organize';
      options: {
        excludeByName: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

interface PrometheusRef {
  type: 'prometheus';
  uid: '${datasource}';
}

// The data source's own package is not made for being used alone; these are the fields of its queries that we use.
interface PrometheusQuery extends Omit<DataQuery, 'datasource'> {
  datasource: PrometheusRef;
  expr: string;
  legendFormat: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  range?: boolean;
}

// The package knows annotations of Grafana's own database; what Prometheus' are made of lies beside its fields.
interface PrometheusAnnotation extends AnnotationQuery {
  expr: string;
  titleFormat: string;
}
