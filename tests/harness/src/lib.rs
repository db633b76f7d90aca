//! Starts real `levada` processes for tests and stops what it started.
