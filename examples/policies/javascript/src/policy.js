// @ts-check
// What the component exports.
import { setModels } from './contract.js';
import * as costHook from './cost.js';
import { reporting } from './failures.js';
import * as routingHook from './routing.js';

/** @type {typeof import('wasmgate:policy/routing@2.0.0')} */
export const routing = reporting({ ...routingHook, setModels });

/** @type {typeof import('wasmgate:policy/cost@2.0.0')} */
export const cost = reporting({ ...costHook, setModels });
