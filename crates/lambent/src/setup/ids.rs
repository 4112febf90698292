//! Subordinate ids, in the format of subuid(5) and subgid(5): lines of `owner:first:count`.

use std::fmt::Write as _;

use super::place::Place;
use super::plan::User;

/// How many are given: what distributions give.
pub(super) const COUNT: u64 = 65_536;
/// How many are enough when somebody has given some already.
const ENOUGH: u64 = 1024;

/// A range that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    count: u64,
}

fn ranges(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = Range { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
        (!owner.starts_with('#')).then_some((owner, range))
    })
}

/// Whether the user has enough in a file of this text.
pub(super) fn has_enough(text: &str, user: &User) -> bool {
    let uid = user.uid.to_string();
    ranges(text).any(|(owner, range)| (owner == user.name || owner == uid) && range.count >= ENOUGH)
}

/// Where free ids are looked for: `SUB_UID_MIN` and `SUB_UID_MAX` of login.defs(5), or its defaults.
pub(super) fn bounds(login_defs: &str) -> (u64, u64) {
    let value = |name: &str, default: u64| {
        let line = login_defs.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == name).then(|| fields.next()?.parse().ok())?
        });
        line.unwrap_or(default)
    };
    (value("SUB_UID_MIN", 100_000), value("SUB_UID_MAX", 600_100_000))
}

/// The first id of the lowest range that nobody has in either file. `None` when the host has given all away.
pub(super) fn free(texts: [&str; 2], (lowest, highest): (u64, u64)) -> Option<u64> {
    let mut taken: Vec<Range> = texts.iter().flat_map(|text| ranges(text)).map(|(_, range)| range).collect();
    taken.sort_by_key(|range| range.first);
    let mut first = lowest;
    for range in taken {
        if range.first >= first + COUNT {
            break;
        }
        first = first.max(range.first + range.count);
    }
    (first + COUNT - 1 <= highest).then_some(first)
}

/// The text with a line more.
pub(super) fn with(text: &str, line: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
    text
}

/// The text without the last such line; `None` when there is none.
pub(super) fn without(text: &str, line: &str) -> Option<String> {
    let at = text.lines().rev().position(|one| one.trim() == line)?;
    let lines: Vec<&str> = text.lines().collect();
    let skip = lines.len() - 1 - at;
    Some(lines.iter().enumerate().filter(|(index, _)| *index != skip).map(|(_, one)| format!("{one}\n")).collect())
}

/// Whether the programs that give ids to a namespace are installed.
pub(super) fn mapper_is_missing(place: &Place) -> bool {
    const PLACES: &[&str] = &["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/usr/sbin", "/sbin"];
    ["newuidmap", "newgidmap"].iter().any(|name| !PLACES.iter().any(|folder| place.exists(format!("{folder}/{name}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (u64, u64) = (100_000, 600_100_000);

    #[test]
    fn a_free_range_touches_nobody_s() {
        assert_eq!(free(["", ""], BOUNDS), Some(100_000));
        assert_eq!(free(["a:100000:65536\n", ""], BOUNDS), Some(165_536));
        assert_eq!(free(["a:100000:65536\n", "b:165536:65536\n"], BOUNDS), Some(231_072));
        // A gap that is too small, then one that fits.
        assert_eq!(free(["a:100000:10\nb:100100:10\nc:165646:10\n", ""], BOUNDS), Some(100_110));
        assert_eq!(free(["a:50000:60000\n", ""], BOUNDS), Some(110_000));
        assert_eq!(free(["a:100000:600000000\n", ""], BOUNDS), None);
    }

    #[test]
    fn lines_are_added_and_taken_whole() {
        let text = with("a:1:2", "sam:5:6");
        assert_eq!(text, "a:1:2\nsam:5:6\n");
        assert_eq!(without(&text, "sam:5:6").as_deref(), Some("a:1:2\n"));
        assert_eq!(without(&text, "sam:5:66"), None);
        assert_eq!(with("", "x:1:2"), "x:1:2\n");
    }

    #[test]
    fn a_user_has_ids_by_name_or_number() {
        let sam = User { name: "sam".into(), uid: 1000, gid: 1000 };
        assert!(has_enough("sam:1:65536\n", &sam) && has_enough("1000:1:65536\n", &sam));
        assert!(!has_enough("sam:1:10\nsamuel:1:65536\n#sam:1:65536\n", &sam));
    }

    #[test]
    fn bounds_come_from_login_defs() {
        assert_eq!(bounds("# SUB_UID_MIN 5\nSUB_UID_MIN\t\t   200000\nSUB_UID_MAX 300000\n"), (200_000, 300_000));
        assert_eq!(bounds(""), BOUNDS);
    }
}
