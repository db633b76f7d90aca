//! Record batch v2: parse, validate, build, iterate, compress.
