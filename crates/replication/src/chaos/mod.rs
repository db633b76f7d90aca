//! A world in which everything goes wrong: replicas over toy logs, a controller, and a network that delays, reorders,
//! doubles, drops and cuts. Time is a number, and a run is its seed. After every step the invariants are checked; at the
//! end all faults heal, and everything has to come together again.

mod controller;
mod node;
mod random;
mod run;
mod tests;
mod world;
