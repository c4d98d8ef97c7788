//! A policy of Wasmgate: {{hooks}}.

const contract = @import("contract.zig");

pub const panic = contract.panic;

comptime {
%routing     contract.exportRouting(@import("routing.zig"));
%cost     contract.exportCost(@import("cost.zig"));
}
