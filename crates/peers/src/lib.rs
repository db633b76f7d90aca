//! Routed, retrying clients of the internal services, and the watch that keeps the metadata image.
