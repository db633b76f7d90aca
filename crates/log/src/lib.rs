//! The segmented log on disk: append, read, index, recover, retain.
