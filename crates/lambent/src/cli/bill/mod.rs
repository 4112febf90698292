//! `lambent bill`: what the functions used in a month and what that costs, by one of several tariffs.

mod tariff;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::Client;
use tariff::{AWS, Amount, Measure, Name, Tariff};

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose prices.
    #[arg(long, value_enum, default_value_t = Name::Aws)]
    tariff: Name,
    /// Take off what is free each month: of AWS, a million requests and 400,000 GB-seconds.
    #[arg(long)]
    free_tier: bool,
    /// The month, for example 2026-11; by default the current one.
    #[arg(long, value_name = "YYYY-MM", value_parser = month)]
    month: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn month(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a month as YYYY-MM, for example 2026-11, not {text}");
    let (year, month) = text.split_once('-').ok_or_else(wrong)?;
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) || !(1..=12).contains(&month.parse().unwrap_or(0)) {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// What one function version costs.
struct Line {
    arn: String,
    amount: Amount,
    usd: f64,
    aws_usd: f64,
}

/// A month's bill.
struct Bill {
    month: String,
    tariff: &'static Tariff,
    free_tier: bool,
    lines: Vec<Line>,
    total: Amount,
    usd: f64,
    aws_usd: f64,
}

impl Bill {
    fn of(answer: &Value, tariff: &'static Tariff, free_tier: bool) -> Self {
        let (mut lines, mut total, mut aws_total) = (Vec::new(), Amount::default(), Amount::default());
        for function in answer["functions"].as_array().into_iter().flatten() {
            let used = &function["used"];
            let (amount, aws) = (tariff.measure(used), AWS.measure(used));
            total.add(&amount);
            aws_total.add(&aws);
            let arn = function["functionArn"].as_str().unwrap_or_default().to_owned();
            lines.push(Line { arn, amount, usd: tariff.list_price(&amount), aws_usd: AWS.list_price(&aws) });
        }
        Self {
            month: answer["month"].as_str().unwrap_or_default().to_owned(),
            tariff,
            free_tier,
            lines,
            total,
            usd: tariff.price(&total, free_tier),
            aws_usd: AWS.price(&aws_total, free_tier),
        }
    }

    fn json(&self) -> Value {
        let shown = |amount: &Amount, usd: f64, aws_usd: f64| {
            let mut value = json!({
                "requests": amount.requests as u64,
                "billedMs": amount.billed_ms as u64,
                "usd": usd,
                "awsUsd": aws_usd,
            });
            if self.tariff.measure != Measure::Cpu {
                value["gbSeconds"] = json!(amount.gb_s());
            }
            if self.tariff.provisioned.is_some() {
                value["provisionedGbSeconds"] = json!(amount.ready_gb_s());
            }
            value
        };
        let functions = self.lines.iter().map(|line| {
            let mut value = shown(&line.amount, line.usd, line.aws_usd);
            value["functionArn"] = json!(line.arn);
            value
        });
        json!({
            "month": self.month,
            "tariff": self.tariff.name,
            "source": self.tariff.source,
            "currency": "USD",
            "freeTier": self.free_tier,
            "functions": functions.collect::<Vec<_>>(),
            "total": shown(&self.total, self.usd, self.aws_usd),
        })
    }

    fn print(&self) {
        let unit = match self.tariff.measure {
            Measure::Milliseconds => "BILLED MS",
            Measure::Hundreds => "BILLED 100 MS",
            Measure::Cpu => "CPU MS",
        };
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["FUNCTION", "REQUESTS", unit, "GB-S", "USD", "AWS USD"]);
        let gb_s = |amount: &Amount| match self.tariff.measure {
            Measure::Cpu => "-".to_owned(),
            _ => format!("{:.3}", amount.gb_s()),
        };
        let mut row = |name: &str, amount: &Amount, usd: f64, aws_usd: f64| {
            let (requests, billed) = (amount.requests.to_string(), amount.billed_ms.to_string());
            table.add_row([name.to_owned(), requests, billed, gb_s(amount), money(usd), money(aws_usd)]);
        };
        let (mut listed, mut aws_listed) = (0.0, 0.0);
        for line in &self.lines {
            listed += line.usd;
            aws_listed += line.aws_usd;
            let name = line.arn.split_once(":function:").map_or(line.arn.as_str(), |(_, name)| name);
            row(name, &line.amount, line.usd, line.aws_usd);
        }
        row("total", &self.total, self.usd, self.aws_usd);
        println!("{} by tariff {}, US dollars\n{table}", self.month, self.tariff.name);
        if listed - self.usd > 1e-9 || aws_listed - self.aws_usd > 1e-9 {
            let why = if self.free_tier { "the free tier and volume" } else { "volume" };
            println!(
                "the total is less than its parts by {why}: {}, on AWS {}",
                money(listed - self.usd),
                money(aws_listed - self.aws_usd)
            );
        }
        if self.total.ready_gb_s() > 0.0 {
            println!("of it, provisioned concurrency kept {:.3} GB-s ready", self.total.ready_gb_s());
        }
        println!("prices: {}", self.tariff.source);
    }
}

fn money(usd: f64) -> String {
    format!("{usd:.6}")
}

/// Asks the platform what was used, and prints what it costs.
pub(crate) async fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let query = arguments.month.as_ref().map(|month| format!("?month={month}")).unwrap_or_default();
    let answer = client.signed("lambda", "GET", &format!("/_lambent/usage{query}"), &[], Bytes::new()).await?.json()?;
    let bill = Bill::of(&answer, arguments.tariff.tariff(), arguments.free_tier);
    if arguments.json {
        println!("{:#}", bill.json());
    } else if bill.lines.is_empty() {
        println!("nothing was used in {}", bill.month);
    } else {
        bill.print();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_as_written() {
        assert_eq!(month("2026-11").as_deref(), Ok("2026-11"));
        for wrong in ["", "2026", "2026-13", "2026-00", "2026-1", "11-2026", "2026-11-01"] {
            assert!(month(wrong).is_err_and(|words| words.contains("YYYY-MM")), "{wrong}");
        }
    }

    #[test]
    fn a_bill_names_each_function_and_awss_charge_beside() {
        let used = json!({"invocations": 2, "billed_ms": 30, "billed_mb_ms": 30 * 128, "hundreds_ms": 200,
            "hundreds_mb_ms": 200 * 128, "cpu_billed_ms": 6});
        let answer =
            json!({"month": "2026-11", "functions": [{"region": "us-east-1", "functionArn": "arn:f", "used": used}]});
        let bill = Bill::of(&answer, Name::Aws2016.tariff(), false).json();
        assert_eq!((&bill["functions"][0]["billedMs"], &bill["total"]["requests"]), (&json!(200), &json!(2)));
        let (usd, aws) = (bill["total"]["usd"].as_f64(), bill["total"]["awsUsd"].as_f64());
        assert!(usd > aws, "rounding up to 100 ms costs more: {usd:?} {aws:?}");
        assert_eq!(Bill::of(&answer, Name::Aws.tariff(), true).json()["total"]["usd"], json!(0.0));
    }
}
