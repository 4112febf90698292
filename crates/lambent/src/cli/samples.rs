//! Sample events, written after the shapes that AWS documents for each trigger.

use clap::ValueEnum;

/// A trigger whose event can be sent by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sample {
    /// A function URL's or HTTP API's request, payload version 2.0.
    Http,
    /// An object created in a bucket.
    S3,
    /// A batch of one queue message.
    Sqs,
}

impl Sample {
    /// The event as JSON.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Http => include_str!("samples/http.json"),
            Self::S3 => include_str!("samples/s3.json"),
            Self::Sqs => include_str!("samples/sqs.json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_json() {
        for sample in Sample::value_variants() {
            let event: serde_json::Value = serde_json::from_str(sample.event()).unwrap();
            assert!(event.is_object());
        }
    }
}
