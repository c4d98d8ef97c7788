//! What the programs of the benchmark share: how the simulated model and those who ask it speak, and the figures that the
//! other benchmarks hand to its report.

pub mod figures;
pub mod wire;
