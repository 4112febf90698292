//! Tickets: what lets a client download a function's code for a while, without signing.

use aws_lc_rs::hmac;
use base::Timestamp;
use store::Digest;

/// How long a ticket holds, ms. Source: AWS Lambda API reference, `FunctionCodeLocation`: ten minutes.
const LIFE_MS: i64 = 600_000;

/// Makes and checks tickets, with a key that lives as long as the process.
pub(crate) struct Tickets(hmac::Key);

impl Tickets {
    pub(crate) fn new(rng: &dyn base::Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// A ticket for some code: its digest, when the ticket ends, and our signature over both.
    pub(crate) fn issue(&self, code: &str, now: Timestamp) -> String {
        let text = format!("{code}-{:x}", now.plus_ms(LIFE_MS).0);
        let signature = hmac::sign(&self.0, text.as_bytes());
        let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{text}-{signature}")
    }

    /// The code a ticket is for; none when it is not ours or has ended.
    pub(crate) fn redeem(&self, ticket: &str, now: Timestamp) -> Option<Digest> {
        let (text, signature) = ticket.rsplit_once('-')?;
        let signature: Digest = signature.parse().ok()?;
        hmac::verify(&self.0, text.as_bytes(), signature.as_bytes()).ok()?;
        let (code, ends) = text.split_once('-')?;
        let ends = i64::from_str_radix(ends, 16).ok()?;
        if now.0 < ends { code.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_holds_for_its_code_and_its_time_only() {
        let tickets = Tickets::new(&base::SystemRng);
        let code = Digest::of(b"zip");
        let ticket = tickets.issue(&code.to_string(), Timestamp(1_000));
        assert_eq!(tickets.redeem(&ticket, Timestamp(1_000)), Some(code));
        assert_eq!(tickets.redeem(&ticket, Timestamp(601_000)), None);
        let other = ticket.replacen(&code.to_string(), &Digest::of(b"other").to_string(), 1);
        assert_eq!(tickets.redeem(&other, Timestamp(1_000)), None);
        assert_eq!(Tickets::new(&base::SystemRng).redeem(&ticket, Timestamp(1_000)), None);
        assert_eq!(tickets.redeem("", Timestamp(0)), None);
    }
}
