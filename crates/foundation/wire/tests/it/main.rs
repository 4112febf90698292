//! The codecs seen from outside: vectors, faults, routing, constraints, signatures and hostile bytes.

mod dynamic;
mod faults;
mod hostile;
mod protocols;
mod routing;
mod sample;
mod signatures;
mod validation;
mod vectors;
