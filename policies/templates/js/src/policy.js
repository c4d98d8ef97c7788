// @ts-check
// What the component exports.
import { setModels } from './contract.js';
%cost import * as costHook from './cost.js';
import { reporting } from './failures.js';
%routing import * as routingHook from './routing.js';

%routing /** @type {typeof import('wasmgate:policy/routing@2.0.0')} */
%routing export const routing = reporting({ ...routingHook, setModels });
%cost /** @type {typeof import('wasmgate:policy/cost@2.0.0')} */
%cost export const cost = reporting({ ...costHook, setModels });
