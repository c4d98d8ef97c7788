// What the component exports.
%cost import * as costHook from './cost.js';
import { reporting } from './failures.js';
%routing import * as routingHook from './routing.js';

%routing export const routing: typeof import('wasmgate:policy/routing@1.0.0') = reporting(routingHook);
%cost export const cost: typeof import('wasmgate:policy/cost@1.0.0') = reporting(costHook);
