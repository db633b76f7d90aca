//! Fuzz targets as plain functions over bytes: replayed in the gate, explored by cargo-fuzz.
