//! A policy with both hooks.

const contract = @import("contract.zig");

pub const panic = contract.panic;

comptime {
    contract.exportRouting(@import("routing.zig"));
    contract.exportCost(@import("cost.zig"));
}
