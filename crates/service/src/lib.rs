//! What every process shares: options, telemetry, TLS, gRPC servers and channels, health, shutdown.
