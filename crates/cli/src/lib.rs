//! Operator commands, as table or JSON, and the load generator.
