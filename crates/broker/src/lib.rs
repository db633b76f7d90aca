//! The broker role: partition logs and what its faces ask of them.
