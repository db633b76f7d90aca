//! End-to-end tests: a real `levada dev`, real sockets, a real client.

mod admin;
mod bad_cluster;
mod bad_grpc;
mod bad_input;
mod cluster_commands;
mod command_line;
mod controllers;
mod coordinators;
mod crash;
mod disks;
mod gone_broker;
mod metrics;
mod operator;
mod overload;
mod patience;
mod paused;
mod power;
mod power_of_all;
mod records;
mod replicas;
mod replication;
mod round_trip;
mod sandbox;
mod stale_peers;
mod wire;
