//! What a broker does for its faces, over real files and hand-made images.

mod admin;
mod compaction;
mod disks;
mod fetch;
mod lifecycle;
mod produce;
mod readers;
mod sessions;
mod steps;
mod throttles;
mod transits;
mod two_disks;
mod world;
