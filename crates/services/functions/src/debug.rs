//! The variable by which a function says that it is debugged. AWS has no setting for it; `lambent dev --debug` sets it.

use std::collections::BTreeMap;

/// The port of this host's loopback at which debuggers connect.
pub(crate) const VARIABLE: &str = "LAMBENT_DEBUG_PORT";

/// What a function's variables say.
///
/// # Errors
/// What the variable may be.
pub(crate) fn port(variables: Option<&BTreeMap<String, String>>) -> Result<Option<u16>, String> {
    let Some(text) = variables.and_then(|variables| variables.get(VARIABLE)) else { return Ok(None) };
    let port = text.parse().ok().filter(|port| *port >= 1024);
    port.map(Some).ok_or_else(|| format!("{VARIABLE} must be a port from 1024 to 65535, not '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_anybody_may_listen_on() {
        let of = |text: &str| port(Some(&BTreeMap::from([(VARIABLE.to_owned(), text.to_owned())])));
        assert_eq!((port(None), of("1024"), of("65535")), (Ok(None), Ok(Some(1024)), Ok(Some(65535))));
        for wrong in ["1023", "65536", "", "x", "-1"] {
            assert!(of(wrong).unwrap_err().contains("LAMBENT_DEBUG_PORT must be a port"), "{wrong}");
        }
    }
}
