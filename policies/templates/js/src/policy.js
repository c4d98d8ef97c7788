// @ts-check
// What the component exports.
%cost import * as costHook from './cost.js';
import { reporting } from './failures.js';
%routing import * as routingHook from './routing.js';

%routing /** @type {typeof import('wasmgate:policy/routing@1.0.0')} */
%routing export const routing = reporting(routingHook);
%cost /** @type {typeof import('wasmgate:policy/cost@1.0.0')} */
%cost export const cost = reporting(costHook);
