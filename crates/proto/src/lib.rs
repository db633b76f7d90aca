//! The gRPC stubs generated from `proto/` and the conversions to the types of the house.
