//! Pages of lists: `maxResults` and `nextToken`.

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::faults;

/// Items of a page for which nothing else is said.
const DEFAULT: usize = 100;
/// Most items of a page.
const MOST: usize = 500;

/// What a list is asked for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) size: usize,
    // The name of the last item of the page before.
    pub(crate) after: Option<String>,
}

impl Page {
    /// # Errors
    /// BadRequestException.
    pub(crate) fn of(max_results: Option<&str>, token: Option<&str>) -> Result<Self, Fault> {
        let size = match max_results {
            None => DEFAULT,
            Some(text) => match text.parse() {
                Ok(size @ 1..=MOST) => size,
                _ => return Err(faults::bad(format!("Invalid value for maxResults: it must be between 1 and {MOST}"))),
            },
        };
        let wrong = || faults::bad("Invalid position parameter specified");
        let read = |token: &str| {
            let bytes = STANDARD.decode(token).map_err(|_| wrong())?;
            String::from_utf8(bytes).map_err(|_| wrong())
        };
        Ok(Self { size, after: token.map(read).transpose()? })
    }

    /// The items of the page, and the token of the next.
    pub(crate) fn cut<T>(&self, items: impl Iterator<Item = (String, T)>) -> (Vec<T>, Option<String>) {
        let mut items = items.skip_while(|(name, _)| self.after.as_ref().is_some_and(|after| name <= after)).peekable();
        let mut page = Vec::new();
        let mut last = String::new();
        while page.len() < self.size
            && let Some((name, item)) = items.next()
        {
            last = name;
            page.push(item);
        }
        let token = items.peek().is_some().then(|| STANDARD.encode(&last));
        (page, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let all: Vec<_> = (0..7).map(|number| (format!("{number}"), number)).collect();
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = Page::of(Some("3"), token.as_deref()).unwrap();
            let (items, next) = page.cut(all.iter().cloned());
            assert!(items.len() <= 3);
            seen.extend(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
        for (size, token) in [(Some("0"), None), (Some("501"), None), (Some("x"), None), (None, Some("%"))] {
            assert!(Page::of(size, token).is_err());
        }
    }
}
