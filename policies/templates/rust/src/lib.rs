%routing %one //! Short prompts stay local, long ones go to the cloud.
%cost %one //! Prompt tokens at the input price and the expected answer at the output price.
%both //! Short prompts stay local, long ones go to the cloud; and what each candidate would cost.

#![no_std]

%routing mod routing;
%cost mod cost;

%routing %one wasmgate_policy::export!(routing: routing::CloudFrom);
%cost %one wasmgate_policy::export!(cost: cost::TokenCost);
%both wasmgate_policy::export!(routing: routing::CloudFrom, cost: cost::TokenCost);
