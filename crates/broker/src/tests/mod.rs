//! What a broker does for its faces, over real files and hand-made images.

mod admin;
mod fetch;
mod lifecycle;
mod produce;
mod world;
