//! Numbers, which are compared by what they are and not by how they are written.

use serde_json::{Map, Number, Value};

/// What a number may be.
pub(super) fn check(schema: &Map<String, Value>, number: &Number, words: &mut Vec<String>) {
    let limit = |name: &str| schema.get(name).and_then(Value::as_number);
    let strictly = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    if let Some(most) = limit("maximum") {
        match compare(number, most) {
            Some(std::cmp::Ordering::Greater) => words.push(format!(
                "numeric instance is greater than the required maximum (maximum: {most}, found: {number})"
            )),
            Some(std::cmp::Ordering::Equal) if strictly("exclusiveMaximum") => {
                words.push(format!("numeric instance is not strictly lower than the required maximum {most}"));
            }
            _ => {}
        }
    }
    if let Some(least) = limit("minimum") {
        match compare(number, least) {
            Some(std::cmp::Ordering::Less) => words.push(format!(
                "numeric instance is lower than the required minimum (minimum: {least}, found: {number})"
            )),
            Some(std::cmp::Ordering::Equal) if strictly("exclusiveMinimum") => {
                words.push(format!("numeric instance is not strictly greater than the required minimum {least}"));
            }
            _ => {}
        }
    }
    if let Some(of) = limit("multipleOf")
        && !is_multiple(number, of)
    {
        words.push(format!("remainder of division is not zero ({number} / {of})"));
    }
}

/// Digits and how many of them stand behind the point; none of numbers that have too many.
fn decimal(number: &Number) -> Option<(i128, u32)> {
    let text = number.to_string();
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    match u32::try_from(exponent) {
        Ok(zeros) => Some((digits.checked_mul(10_i128.checked_pow(zeros)?)?, 0)),
        Err(_) => Some((digits, u32::try_from(-exponent).ok()?)),
    }
}

/// Both in the same unit.
fn aligned(one: &Number, other: &Number) -> Option<(i128, i128)> {
    let ((a, behind_a), (b, behind_b)) = (decimal(one)?, decimal(other)?);
    let behind = behind_a.max(behind_b);
    let scaled = |digits: i128, own: u32| digits.checked_mul(10_i128.checked_pow(behind - own)?);
    Some((scaled(a, behind_a)?, scaled(b, behind_b)?))
}

fn compare(one: &Number, other: &Number) -> Option<std::cmp::Ordering> {
    match aligned(one, other) {
        Some((a, b)) => Some(a.cmp(&b)),
        None => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn is_multiple(number: &Number, of: &Number) -> bool {
    match aligned(number, of) {
        Some((number, of)) => of != 0 && number % of == 0,
        None => match (number.as_f64(), of.as_f64()) {
            (Some(number), Some(of)) => (number / of).fract() == 0.0,
            _ => false,
        },
    }
}

/// A value as a text that equal values share: members in the order of their names, numbers without what says nothing.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match decimal(number) {
            Some((mut digits, mut behind)) => {
                while behind > 0 && digits % 10 == 0 {
                    (digits, behind) = (digits / 10, behind - 1);
                }
                format!("{digits}e-{behind}")
            }
            None => number.to_string(),
        },
        Value::Array(all) => format!("[{}]", all.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(all) => {
            let mut members: Vec<String> =
                all.iter().map(|(name, one)| format!("{}:{}", Value::from(name.as_str()), canonical(one))).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}
