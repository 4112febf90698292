//! Carries an expression out.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::parse::Expression;
use super::{Error, FUNCTIONS};

/// A time series: values by second.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Line {
    /// Its id or label.
    pub(crate) name: String,
    pub(crate) period_s: i64,
    /// The seconds at which it could have values.
    pub(crate) from_s: i64,
    pub(crate) to_s: i64,
    pub(crate) values: BTreeMap<i64, f64>,
}

impl Line {
    fn periods(&self) -> i64 {
        (self.to_s - self.from_s).max(0) / self.period_s.max(1)
    }
}

/// Values that FILL gives at most.
const FILLED: i64 = 100_800;

/// Time series of one list at most.
const LINES: usize = 500;

/// What an expression gives. Series are shared: a name that stands in many places costs no copies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Line(Rc<Line>),
    Lines(Vec<Rc<Line>>),
}

impl Value {
    /// Its time series.
    pub(crate) fn lines(&self) -> &[Rc<Line>] {
        match self {
            Self::Number(_) => &[],
            Self::Line(line) => std::slice::from_ref(line),
            Self::Lines(lines) => lines,
        }
    }
}

/// What names stand for.
pub(crate) trait Names {
    /// The value of another query.
    fn find(&self, name: &str) -> Result<Value, Error>;
    /// Every metric of the request whose id holds `part`.
    fn metrics(&self, part: &str) -> Result<Vec<Rc<Line>>, Error>;
    /// Told before so many values are gone through: an error once the request has done enough.
    fn spend(&self, values: usize) -> Result<(), Error>;
}

/// Tells that every value of `value` is gone through.
fn spend(value: &Value, names: &dyn Names) -> Result<(), Error> {
    names.spend(value.lines().iter().map(|line| line.values.len() + 1).sum())
}

/// Carries `expression` out.
pub(crate) fn evaluate(expression: &Expression, names: &dyn Names) -> Result<Value, Error> {
    match expression {
        Expression::Number(number) => Ok(Value::Number(*number)),
        Expression::Name(name) => names.find(name),
        Expression::Text(text) => Err(Error::Wrong(format!("The text '{text}' is not a value"))),
        Expression::List(items) => lines(items, names).map(Value::Lines),
        Expression::Negated(inner) => {
            let value = evaluate(inner, names)?;
            spend(&value, names)?;
            Ok(each(value, |value| -value))
        }
        Expression::Binary(sign, left, right) => {
            let (left, right) = (evaluate(left, names)?, evaluate(right, names)?);
            match (&left, &right) {
                // The one series is gone through for each of the list.
                (Value::Line(one), Value::Lines(all)) => names.spend((one.values.len() + 1) * all.len())?,
                _ => spend(&left, names)?,
            }
            spend(&right, names)?;
            binary(*sign, left, right)
        }
        Expression::Call(name, arguments) => call(name, arguments, names),
    }
}

fn lines(items: &[Expression], names: &dyn Names) -> Result<Vec<Rc<Line>>, Error> {
    let mut all = Vec::new();
    for item in items {
        match evaluate(item, names)? {
            Value::Line(line) => all.push(line),
            Value::Lines(lines) => all.extend(lines),
            Value::Number(_) => return Err(Error::Wrong("A list holds time series, not numbers".into())),
        }
        if all.len() > LINES {
            return Err(Error::Wrong(format!("A list holds at most {LINES} time series")));
        }
    }
    Ok(all)
}

fn each(value: Value, change: impl Fn(f64) -> f64) -> Value {
    let line = |mut line: Rc<Line>| {
        let values = &mut Rc::make_mut(&mut line).values;
        values.values_mut().for_each(|value| *value = change(*value));
        values.retain(|_, value| value.is_finite());
        line
    };
    match value {
        Value::Number(number) => Value::Number(change(number)),
        Value::Line(one) => Value::Line(line(one)),
        Value::Lines(all) => Value::Lines(all.into_iter().map(line).collect()),
    }
}

fn arithmetic(sign: char, left: f64, right: f64) -> f64 {
    match sign {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '/' => left / right,
        _ => left.powf(right),
    }
}

/// Two series meet where both have a value; what has no finite result is left out.
fn binary(sign: char, left: Value, right: Value) -> Result<Value, Error> {
    let meet = |one: &Line, two: &Line, name: &str| {
        let pairs = one.values.iter().filter_map(|(at, left)| {
            let value = arithmetic(sign, *left, *two.values.get(at)?);
            value.is_finite().then_some((*at, value))
        });
        let (period_s, from_s, to_s) = (one.period_s, one.from_s, one.to_s);
        Rc::new(Line { name: name.to_owned(), period_s, from_s, to_s, values: pairs.collect() })
    };
    Ok(match (left, right) {
        (Value::Number(left), right) => each(right, |value| arithmetic(sign, left, value)),
        (left, Value::Number(right)) => each(left, |value| arithmetic(sign, value, right)),
        (Value::Line(one), Value::Line(two)) => Value::Line(meet(&one, &two, &one.name)),
        (Value::Lines(all), Value::Line(two)) => {
            Value::Lines(all.into_iter().map(|one| meet(&one, &two, &one.name)).collect())
        }
        (Value::Line(one), Value::Lines(all)) => {
            Value::Lines(all.into_iter().map(|two| meet(&one, &two, &two.name)).collect())
        }
        (Value::Lines(_), Value::Lines(_)) => {
            return Err(Error::Wrong(format!("Unsupported operand types for {sign}: two lists")));
        }
    })
}

/// The functions that make one number of a series, or one series of a list.
fn aggregate(name: &str) -> Option<fn(&[f64]) -> f64> {
    Some(match name {
        "SUM" => |values| values.iter().sum(),
        "AVG" => |values| values.iter().sum::<f64>() / values.len() as f64,
        "MIN" => |values| values.iter().copied().fold(f64::INFINITY, f64::min),
        "MAX" => |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => return None,
    })
}

fn call(name: &str, arguments: &[Expression], names: &dyn Names) -> Result<Value, Error> {
    let name = name.to_ascii_uppercase();
    if !FUNCTIONS.contains(&name.as_str()) {
        return Err(Error::NotHere(format!("the function {name} in metric math")));
    }
    if name == "METRICS" {
        return match arguments {
            [] => names.metrics("").map(Value::Lines),
            [Expression::Text(part)] => names.metrics(part).map(Value::Lines),
            _ => Err(Error::Wrong("METRICS takes one text or nothing".into())),
        };
    }
    let (first, others) = arguments.split_first().ok_or_else(|| Error::Wrong(format!("{name} takes an argument")))?;
    let value = evaluate(first, names)?;
    spend(&value, names)?;
    if name == "FILL" {
        let [with] = others else { return Err(Error::Wrong("FILL takes a time series and a value".into())) };
        return fill(value, with, names);
    }
    if !others.is_empty() {
        return Err(Error::Wrong(format!("{name} takes one argument")));
    }
    if let Some(function) = aggregate(&name) {
        return Ok(aggregated(value, function));
    }
    match name.as_str() {
        "ABS" => Ok(each(value, f64::abs)),
        "CEIL" => Ok(each(value, f64::ceil)),
        "FLOOR" => Ok(each(value, f64::floor)),
        "METRIC_COUNT" => match value {
            Value::Lines(lines) => Ok(Value::Number(lines.len() as f64)),
            _ => Ok(Value::Number(1.0)),
        },
        "PERIOD" => match value {
            Value::Line(line) => Ok(Value::Number(line.period_s as f64)),
            _ => Err(Error::Wrong("PERIOD takes a time series".into())),
        },
        "DIFF" => along(value, &name, |(_, last), (_, value)| value - last),
        "RATE" => along(value, &name, |(before, last), (at, value)| (value - last) / (at - before) as f64),
        _ => {
            let mut sum = 0.0;
            along_all(value, &name, &mut |line| {
                sum = 0.0;
                line.values.values_mut().for_each(|value| {
                    sum += *value;
                    *value = sum;
                });
            })
        }
    }
}

fn aggregated(value: Value, function: fn(&[f64]) -> f64) -> Value {
    match value {
        Value::Number(number) => Value::Number(function(&[number])),
        Value::Line(line) => Value::Number(function(&line.values.values().copied().collect::<Vec<_>>())),
        Value::Lines(lines) => {
            let seconds: BTreeSet<i64> = lines.iter().flat_map(|line| line.values.keys().copied()).collect();
            let at = |second: i64| {
                let values: Vec<f64> = lines.iter().filter_map(|line| line.values.get(&second).copied()).collect();
                (second, function(&values))
            };
            let values = seconds.into_iter().map(at).collect();
            let (name, period_s, from_s, to_s) = match lines.first() {
                Some(line) => (line.name.clone(), line.period_s, line.from_s, line.to_s),
                None => Default::default(),
            };
            Value::Line(Rc::new(Line { name, period_s, from_s, to_s, values }))
        }
    }
}

fn along_all(value: Value, name: &str, change: &mut dyn FnMut(&mut Line)) -> Result<Value, Error> {
    match value {
        Value::Number(_) => Err(Error::Wrong(format!("{name} takes a time series"))),
        Value::Line(mut line) => {
            change(Rc::make_mut(&mut line));
            Ok(Value::Line(line))
        }
        Value::Lines(mut lines) => {
            lines.iter_mut().for_each(|line| change(Rc::make_mut(line)));
            Ok(Value::Lines(lines))
        }
    }
}

/// What each value makes of itself and the one before.
fn along(value: Value, name: &str, step: impl Fn((i64, f64), (i64, f64)) -> f64) -> Result<Value, Error> {
    along_all(value, name, &mut |line| {
        let values: Vec<(i64, f64)> = std::mem::take(&mut line.values).into_iter().collect();
        let pairs = values.windows(2).filter_map(|two| match two {
            [last, value] => Some((value.0, step(*last, *value))),
            _ => None,
        });
        line.values = pairs.filter(|(_, value)| value.is_finite()).collect();
    })
}

/// What fills the gaps of a series.
enum Gap {
    With(f64),
    Repeat,
    Linear,
}

fn fill(value: Value, with: &Expression, names: &dyn Names) -> Result<Value, Error> {
    let gap = match with {
        Expression::Name(word) if word == "REPEAT" => Gap::Repeat,
        Expression::Name(word) if word == "LINEAR" => Gap::Linear,
        other => match evaluate(other, names)? {
            Value::Number(number) => Gap::With(number),
            _ => return Err(Error::NotHere("FILL with another time series in metric math".into())),
        },
    };
    let made = match &value {
        Value::Number(_) => 0,
        Value::Line(line) => line.periods(),
        Value::Lines(lines) => lines.iter().map(|line| line.periods()).sum(),
    };
    if made > FILLED {
        return Err(Error::Wrong(format!("FILL would give {made} values, and {FILLED} are the limit")));
    }
    names.spend(usize::try_from(made).unwrap_or(usize::MAX))?;
    along_all(value, "FILL", &mut |line| fill_line(line, &gap))
}

fn fill_line(line: &mut Line, gap: &Gap) {
    let period_s = line.period_s.max(1);
    let seconds = (0..).map(|step| line.from_s + step * period_s).take_while(|second| *second < line.to_s);
    let known = line.values.clone();
    for second in seconds {
        if known.contains_key(&second) {
            continue;
        }
        let before = known.range(..second).next_back();
        let value = match gap {
            Gap::With(value) => Some(*value),
            Gap::Repeat => before.map(|(_, value)| *value),
            Gap::Linear => before
                .zip(known.range(second..).next())
                .map(|((from, low), (to, high))| low + (high - low) * (second - from) as f64 / (to - from) as f64),
        };
        if let Some(value) = value {
            line.values.insert(second, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::math::parse;

    struct Two;

    fn line(name: &str, values: &[(i64, f64)]) -> Rc<Line> {
        let values = values.iter().copied().collect();
        Rc::new(Line { name: name.into(), period_s: 60, from_s: 0, to_s: 240, values })
    }

    impl Names for Two {
        fn find(&self, name: &str) -> Result<Value, Error> {
            match name {
                "m1" => Ok(Value::Line(line("m1", &[(0, 1.0), (60, 2.0), (180, 8.0)]))),
                "m2" => Ok(Value::Line(line("m2", &[(0, 10.0), (60, 0.0)]))),
                _ => Err(Error::Wrong(format!("no {name}"))),
            }
        }
        fn metrics(&self, part: &str) -> Result<Vec<Rc<Line>>, Error> {
            let all = ["m1", "m2"].into_iter().filter(|name| name.contains(part));
            Ok(all.flat_map(|name| self.find(name).unwrap().lines().to_vec()).collect())
        }
        fn spend(&self, _: usize) -> Result<(), Error> {
            Ok(())
        }
    }

    fn of(text: &str) -> Vec<(i64, f64)> {
        match parse(text).and_then(|expression| evaluate(&expression, &Two)) {
            Ok(Value::Line(line)) => line.values.clone().into_iter().collect(),
            Ok(Value::Number(number)) => vec![(-1, number)],
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn arithmetic_meets_where_both_have_values() {
        assert_eq!(of("m1 + m2*2"), [(0, 21.0), (60, 2.0)]);
        assert_eq!(of("100*(m1/m2)"), [(0, 10.0)], "nothing is divided by zero");
        assert_eq!(of("-m1 - -1"), [(0, 0.0), (60, -1.0), (180, -7.0)]);
        assert_eq!(of("2^m1"), [(0, 2.0), (60, 4.0), (180, 256.0)]);
        assert_eq!(of("2*3-4/2"), [(-1, 4.0)]);
    }

    #[test]
    fn functions_do_as_documented() {
        assert_eq!(of("SUM(m1)"), [(-1, 11.0)]);
        assert_eq!(of("SUM([m1, m2])"), [(0, 11.0), (60, 2.0), (180, 8.0)]);
        assert_eq!(of("AVG(METRICS())"), [(0, 5.5), (60, 1.0), (180, 8.0)]);
        assert_eq!(of("MAX(METRICS('2'))"), [(0, 10.0), (60, 0.0)]);
        assert_eq!(of("m1 - MIN(m1)"), [(0, 0.0), (60, 1.0), (180, 7.0)]);
        assert_eq!(of("RATE(m1)"), [(60, 1.0 / 60.0), (180, 0.05)]);
        assert_eq!(of("DIFF(m1)"), [(60, 1.0), (180, 6.0)]);
        assert_eq!(of("FILL(m1, 0)"), [(0, 1.0), (60, 2.0), (120, 0.0), (180, 8.0)]);
        assert_eq!(of("FILL(m2, REPEAT)"), [(0, 10.0), (60, 0.0), (120, 0.0), (180, 0.0)]);
        assert_eq!(of("FILL(m1, LINEAR)"), [(0, 1.0), (60, 2.0), (120, 5.0), (180, 8.0)]);
        assert_eq!(of("m1/PERIOD(m1)"), [(0, 1.0 / 60.0), (60, 2.0 / 60.0), (180, 8.0 / 60.0)]);
        assert_eq!(of("RUNNING_SUM(m1)"), [(0, 1.0), (60, 3.0), (180, 11.0)]);
        assert_eq!(of("CEIL(ABS(-m1/4))"), [(0, 1.0), (60, 1.0), (180, 2.0)]);
    }

    #[test]
    fn what_is_wrong_or_not_here_says_so() {
        let error = |text: &str| parse(text).and_then(|expression| evaluate(&expression, &Two)).unwrap_err();
        for text in ["SEARCH('x','Sum',300)", "m1 > 1", "ANOMALY_DETECTION_BAND(m1)", "IF(m1, 1, 2)", "FILL(m1, m2)"] {
            assert!(matches!(error(text), Error::NotHere(_)), "{text}");
        }
        let deep = "(".repeat(5000);
        for text in ["", "m1 +", "m3", "(m1", "m1 m2", "[m1", "'a", "1.2.3", "SUM()", "RATE(1)", "\u{e9}", &deep] {
            assert!(matches!(error(text), Error::Wrong(_)), "{text}");
        }
        for operator in ["+1", "*1"] {
            assert_eq!(of(&format!("1{}", operator.repeat(200))).len(), 1);
            let long = format!("1{}", operator.repeat(201));
            assert_eq!(error(&long), Error::Wrong("It has more than 200 operators".into()));
        }
    }
}
