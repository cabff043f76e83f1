//! The client against the real simulated provider, as a process: each token, and a provider
//! that is killed at the worst moments.

mod crash;
mod stage;
mod tokens;
