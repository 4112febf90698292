//! `application/vnd.amazon.eventstream`: messages in a body that goes on. Source: Smithy, "Amazon Event Stream
//! Specification" and "Event streams".

mod frame;
mod print;
mod read;

pub use frame::{Decoder, HeaderValue, Message};
pub use print::{event, exception, initial_response};
pub use read::read;

/// The content type of a body of messages.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

const MESSAGE_TYPE: &str = ":message-type";
const EVENT_TYPE: &str = ":event-type";
const EXCEPTION_TYPE: &str = ":exception-type";
const MEDIA_TYPE: &str = ":content-type";
