//! The policy {{name}}, as a component: {{hooks}}.

#![no_std]

%routing pub mod routing;
%cost pub mod cost;

%routing %one wasmgate_policy::export!(routing: routing::CloudFrom);
%cost %one wasmgate_policy::export!(cost: cost::TokenCost);
%both wasmgate_policy::export!(routing: routing::CloudFrom, cost: cost::TokenCost);
