//! The client against a broker with its gRPC face and a controller, all in this process.

mod admin;
mod consume;
mod node;
mod produce;
mod wire;
