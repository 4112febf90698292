//! Sandboxes as they are lived in: real programs behind real walls, as whoever runs the tests, and as root once more as
//! an ordinary user.

mod common;
mod death;
mod hosts;
mod life;
mod limits;
mod probe;
