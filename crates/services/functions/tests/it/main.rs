//! The room through its operations and its site, over rows in memory, a real data folder and paper walls.

mod code;
mod control;
mod events;
mod invoke;
mod policies;
mod refusals;
mod urls;
mod world;
