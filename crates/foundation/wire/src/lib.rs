//! The AWS protocols as codecs over one schema, and their signatures.
//!
//! What: [`Shape`]s describe every AWS type as static data; typed values meet codecs only through [`Emit`] and
//! [`Source`], so the code grows with shapes *plus* protocols, never with their product. Why: twenty services in six
//! protocols must stay small and alike. Never: knows no service, opens no socket, reads no clock.

#![deny(missing_docs)]

mod cbor;
pub mod checksum;
pub mod chunked;
mod codec;
pub mod eventstream;
mod json;
mod moment;
mod operation;
mod plain;
mod query;
pub mod resource;
mod rest;
pub mod route;
mod scalar;
mod schema;
pub mod sigv2;
pub mod sigv4;
mod validate;
mod value;
mod without;
mod xml;

pub use codec::{decode, encode, encode_fault, text_member, true_member};
pub use json::{keep, recall};
pub use moment::{date_of_iso, http_date};
pub use operation::{ErrorShape, Op, Operation, Other, Protocol, Request, Response, Service};
pub use schema::{EventPart, Kind, Location, Member, Namespace, Shape, TimestampFormat};
pub use validate::{pattern_compiles, validate};
pub use value::{Accept, Document, Emit, Malformed, Sink, Source, Structure, Unit};
pub use without::without;
pub use xml::{pairs_of_xml, xml_document};

#[doc(hidden)]
pub mod macros;
