// What the component exports.
import { setModels } from './contract.js';
%cost import * as costHook from './cost.js';
import { reporting } from './failures.js';
%routing import * as routingHook from './routing.js';

%routing export const routing: typeof import('wasmgate:policy/routing@2.0.0') = reporting({ ...routingHook, setModels });
%cost export const cost: typeof import('wasmgate:policy/cost@2.0.0') = reporting({ ...costHook, setModels });
