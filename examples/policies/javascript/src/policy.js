// @ts-check
// What the component exports.
import * as costHook from './cost.js';
import { reporting } from './failures.js';
import * as routingHook from './routing.js';

/** @type {typeof import('wasmgate:policy/routing@1.0.0')} */
export const routing = reporting(routingHook);

/** @type {typeof import('wasmgate:policy/cost@1.0.0')} */
export const cost = reporting(costHook);
