// The exports. build.sh gives them the names of the contract, which are no names of AssemblyScript: `routing_route` becomes
// `wasmgate:policy/routing@2.0.0#route`.
import { configureCost, describeCost, estimateAll } from "./cost";
import { configured, release } from "./contract/memory";
import { Call, setModels } from "./contract/types";
import { configureRouting, decide, describeRouting } from "./routing";

export { cabi_realloc } from "./contract/memory";

// Both hooks give the same name and version.
const NAME = "complexity-assemblyscript";
const VERSION = "1.0.0";

export function routing_describe(): usize {
  return describeRouting(NAME, VERSION);
}

export function routing_configure(): usize {
  return configured(configureRouting());
}

export function routing_set_models(models: usize, count: i32): void {
  setModels(models, count);
  release();
}

export function routing_route(call: usize): usize {
  return decide(new Call(call));
}

export function cost_describe(): usize {
  return describeCost(NAME, VERSION);
}

export function cost_configure(): usize {
  return configured(configureCost());
}

export function cost_set_models(models: usize, count: i32): void {
  setModels(models, count);
  release();
}

export function cost_estimate(call: usize): usize {
  return estimateAll(new Call(call));
}

// The gateway calls these when it has read an answer.
export function post_routing_describe(answer: usize): void {
  release();
}

export function post_routing_configure(answer: usize): void {
  release();
}

export function post_routing_route(answer: usize): void {
  release();
}

export function post_cost_describe(answer: usize): void {
  release();
}

export function post_cost_configure(answer: usize): void {
  release();
}

export function post_cost_estimate(answer: usize): void {
  release();
}
