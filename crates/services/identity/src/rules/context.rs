//! What is known of a request when policies are asked: condition keys and their values.
//!
//! Source: IAM User Guide, "AWS global condition context keys". Names of keys have no case.

/// The condition keys of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    // A key that is not here is absent from the request. A request has a score of them and policies ask for few, so
    // that a list is quicker than a map; of two alike the later one holds.
    keys: Vec<(String, Vec<String>)>,
}

impl Context {
    /// Sets a key with one value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.keys.push((key.to_owned(), vec![value.into()]));
    }

    /// Sets a key that has any number of values, none of them included.
    pub fn set_all(&mut self, key: &str, values: Vec<String>) {
        self.keys.push((key.to_owned(), values));
    }

    /// The values of a key; none when the request does not have it.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        let mut latest = self.keys.iter().rev();
        latest.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| values.as_slice())
    }

    /// The value of a key that has exactly one: only those may stand in variables.
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some([one]) => Some(one),
            _ => None,
        }
    }
}
