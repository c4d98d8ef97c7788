// What Grafana registers when it starts: transformations, and the settings of a field that defaults and overrides may have.
// The packages bring both registries empty.

import { FieldConfigOptionsRegistry, standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry } from '@grafana/data';

// Some have two names.
const transformers = new Map(Object.values(standardTransformers).map((transformer) => [transformer.id, transformer]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((transformer) => ({
    id: transformer.id,
    name: transformer.name,
    transformation: () => Promise.resolve(transformer),
  })),
);

const STANDARD = ['color', 'decimals', 'description', 'displayName', 'fieldMinMax', 'filterable', 'links', 'mappings', 'max', 'min',
  'noValue', 'thresholds', 'unit'];

// `mappings` of an override count before those of the defaults; so does Grafana, which joins them.
const setting = (id, path, more) => ({ id, path, name: id, process: (value) => value, shouldApply: () => true, ...more });
standardFieldConfigEditorRegistry.setInit(() => STANDARD.map((id) => setting(id, id)));

/** The settings that fields of a kind of panel have, with what Grafana takes where a dashboard says nothing. */
export function settings(defaults) {
  const registry = new FieldConfigOptionsRegistry();
  for (const { id } of standardFieldConfigEditorRegistry.list()) {
    registry.register(setting(id, id, { process: (value) => value ?? defaults[id] }));
  }
  for (const [id, fallback] of Object.entries(defaults.custom ?? {})) {
    registry.register(setting(`custom.${id}`, id, { isCustom: true, process: (value) => value ?? fallback ?? undefined }));
  }
  return registry;
}
