//! Prices, as data. In US dollars, of US East (N. Virginia) where they differ by region.

use clap::ValueEnum;
use serde_json::Value;

/// What a tariff charges by, besides requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Milliseconds, each invocation rounded up to one, times memory; INIT included.
    Milliseconds,
    /// Milliseconds in the handler, each invocation rounded up to a hundred, times memory.
    Hundreds,
    /// Milliseconds of CPU time, each invocation rounded up to one. Waiting costs nothing.
    Cpu,
}

/// The price of one unit up to an amount in the month, which is the sum of all steps so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) up_to: f64,
    pub(super) usd: f64,
}

/// What is charged, how, and who says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tariff {
    pub(super) name: &'static str,
    /// Where the prices were published.
    pub(super) source: &'static str,
    pub(super) measure: Measure,
    pub(super) usd_per_request: f64,
    /// A GB-second on x86-64, or a millisecond of CPU time.
    pub(super) unit: &'static [Step],
    /// A GB-second on arm64; as on x86-64 where there is no price of its own.
    pub(super) arm_unit: &'static [Step],
    /// A GB-second of `/tmp` above 512 MiB.
    pub(super) usd_per_tmp_gb_s: f64,
    /// Provisioned concurrency, on x86-64 and on arm64; none where the tariff knows none: what it covers is billed as the rest.
    pub(super) provisioned: Option<[Provisioned; 2]>,
    /// Requests a month that `--free-tier` takes off.
    pub(super) free_requests: f64,
    /// Units a month that `--free-tier` takes off.
    pub(super) free_units: f64,
}

/// What provisioned concurrency costs on one architecture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provisioned {
    /// A GB-second that is kept ready.
    usd_ready: f64,
    /// A GB-second of an invocation that it covers.
    usd_covered: f64,
}

const fn flat(usd: f64) -> [Step; 1] {
    [Step { up_to: f64::INFINITY, usd }]
}

const X86: [Step; 3] = [
    Step { up_to: 6e9, usd: 0.000_016_666_7 },
    Step { up_to: 15e9, usd: 0.000_015 },
    Step { up_to: f64::INFINITY, usd: 0.000_013_333_4 },
];
const ARM: [Step; 3] = [
    Step { up_to: 7.5e9, usd: 0.000_013_333_4 },
    Step { up_to: 18.75e9, usd: 0.000_012_000_1 },
    Step { up_to: f64::INFINITY, usd: 0.000_010_666_7 },
];
const IN_2016: [Step; 1] = flat(0.000_016_67);
const CPU: [Step; 1] = flat(0.02 / 1e6);

/// What AWS charges today.
pub(super) const AWS: Tariff = Tariff {
    name: "aws",
    source: "https://aws.amazon.com/lambda/pricing/ (US East, N. Virginia; INIT billed as since August 2025)",
    measure: Measure::Milliseconds,
    usd_per_request: 0.20 / 1e6,
    unit: &X86,
    arm_unit: &ARM,
    usd_per_tmp_gb_s: 0.000_000_030_9,
    provisioned: Some([
        Provisioned { usd_ready: 0.000_004_166_7, usd_covered: 0.000_009_722_2 },
        Provisioned { usd_ready: 0.000_003_333_4, usd_covered: 0.000_007_777_8 },
    ]),
    free_requests: 1e6,
    free_units: 400_000.0,
};

/// What AWS charged from its beginnings until December 2020. INIT of managed runtimes was free then.
const AWS_2016: Tariff = Tariff {
    name: "aws-2016-100ms",
    source: "https://aws.amazon.com/lambda/pricing/ as of 2016 (increments of 100 ms)",
    measure: Measure::Hundreds,
    usd_per_request: 0.20 / 1e6,
    unit: &IN_2016,
    arm_unit: &IN_2016,
    usd_per_tmp_gb_s: 0.0,
    provisioned: None,
    free_requests: 1e6,
    free_units: 400_000.0,
};

/// What a platform charges that bills CPU time alone.
const ACTIVE_CPU: Tariff = Tariff {
    name: "active-cpu",
    source: "https://developers.cloudflare.com/workers/platform/pricing/ (Standard; without its monthly minimum)",
    measure: Measure::Cpu,
    usd_per_request: 0.30 / 1e6,
    unit: &CPU,
    arm_unit: &CPU,
    usd_per_tmp_gb_s: 0.0,
    provisioned: None,
    free_requests: 10e6,
    free_units: 30e6,
};

/// Which tariff to bill by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
    /// AWS Lambda today: each call's milliseconds times memory.
    Aws,
    /// AWS Lambda until December 2020: each call rounded up to 100 ms.
    #[value(name = "aws-2016-100ms")]
    Aws2016,
    /// CPU time alone: a call that waits costs nothing meanwhile.
    ActiveCpu,
}

impl Name {
    pub(super) fn tariff(self) -> &'static Tariff {
        match self {
            Self::Aws => &AWS,
            Self::Aws2016 => &AWS_2016,
            Self::ActiveCpu => &ACTIVE_CPU,
        }
    }
}

/// What was used, in one tariff's measure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) requests: f64,
    pub(super) billed_ms: f64,
    /// GB-seconds on x86-64, or CPU milliseconds.
    pub(super) units: f64,
    /// GB-seconds on arm64.
    pub(super) arm_units: f64,
    pub(super) tmp_gb_s: f64,
    /// GB-seconds kept ready by provisioned concurrency, on x86-64 and on arm64.
    pub(super) ready: [f64; 2],
    /// GB-seconds of invocations that it covers, likewise: not in the units.
    pub(super) covered: [f64; 2],
    /// Of the requests, those of functions with provisioned concurrency: the free tier is not for them.
    pub(super) paid_requests: f64,
    /// Of the units, those of functions with provisioned concurrency, on x86-64 and on arm64: likewise.
    pub(super) paid_units: [f64; 2],
}

/// Mebibyte-milliseconds in a gigabyte-second, as AWS counts them.
const MB_MS: f64 = 1024.0 * 1000.0;

impl Tariff {
    /// What it measures of `used`, a function's amounts as the platform tells them.
    pub(super) fn measure(&self, used: &Value) -> Amount {
        let of = |name: &str| used[name].as_u64().unwrap_or(0) as f64;
        let (billed_ms, units, arm_units) = match self.measure {
            Measure::Milliseconds => {
                let arm = of("arm_billed_mb_ms");
                (of("billed_ms"), (of("billed_mb_ms") - arm) / MB_MS, arm / MB_MS)
            }
            Measure::Hundreds => (of("hundreds_ms"), of("hundreds_mb_ms") / MB_MS, 0.0),
            Measure::Cpu => (of("cpu_billed_ms"), of("cpu_billed_ms"), 0.0),
        };
        let requests = of("invocations");
        let amount =
            Amount { requests, billed_ms, units, arm_units, tmp_gb_s: of("tmp_mb_ms") / MB_MS, ..Amount::default() };
        if self.provisioned.is_none() {
            return amount;
        }
        // Of the rows' pairs, the first is of both architectures.
        let pair = |all: &str, arm: &str| [(of(all) - of(arm)) / MB_MS, of(arm) / MB_MS];
        let ready = pair("provisioned_mb_ms", "arm_provisioned_mb_ms");
        let covered = pair("covered_mb_ms", "arm_covered_mb_ms");
        let (units, arm_units) = ((units - covered[0]).max(0.0), (arm_units - covered[1]).max(0.0));
        let paid = ready != [0.0; 2];
        let (paid_requests, paid_units) = if paid { (requests, [units, arm_units]) } else { (0.0, [0.0; 2]) };
        Amount { units, arm_units, ready, covered, paid_requests, paid_units, ..amount }
    }

    /// What an amount costs at the first step's prices, without anything taken off.
    pub(super) fn list_price(&self, amount: &Amount) -> f64 {
        let first = |steps: &[Step]| steps.first().map_or(0.0, |step| step.usd);
        self.usd_per_request * amount.requests
            + first(self.unit) * amount.units
            + first(self.arm_unit) * amount.arm_units
            + self.usd_per_tmp_gb_s * amount.tmp_gb_s
            + self.provisioned_price(amount)
    }

    fn provisioned_price(&self, amount: &Amount) -> f64 {
        let prices = self.provisioned.iter().flatten().zip(amount.ready.iter().zip(&amount.covered));
        prices.map(|(price, (ready, covered))| price.usd_ready * ready + price.usd_covered * covered).sum()
    }

    /// What a month's amounts cost: by steps, and without what is free if that is asked for. What is free of units goes off
    /// x86-64 first.
    pub(super) fn price(&self, amount: &Amount, free_tier: bool) -> f64 {
        let (free_requests, free_units) = if free_tier { (self.free_requests, self.free_units) } else { (0.0, 0.0) };
        let [paid, arm_paid] = amount.paid_units;
        let (may, arm_may) = (amount.units - paid, amount.arm_units - arm_paid);
        let units = (may - free_units).max(0.0) + paid;
        let arm_units = (arm_may - (free_units - may).max(0.0)).max(0.0) + arm_paid;
        let requests = (amount.requests - amount.paid_requests - free_requests).max(0.0) + amount.paid_requests;
        self.usd_per_request * requests
            + by_steps(self.unit, units)
            + by_steps(self.arm_unit, arm_units)
            + self.usd_per_tmp_gb_s * amount.tmp_gb_s
            + self.provisioned_price(amount)
    }
}

impl Amount {
    /// GB-seconds of invocations, however they are charged.
    pub(super) fn gb_s(&self) -> f64 {
        self.units + self.arm_units + self.covered.iter().sum::<f64>()
    }

    /// GB-seconds kept ready.
    pub(super) fn ready_gb_s(&self) -> f64 {
        self.ready.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.billed_ms += other.billed_ms;
        self.units += other.units;
        self.arm_units += other.arm_units;
        self.tmp_gb_s += other.tmp_gb_s;
        self.paid_requests += other.paid_requests;
        for arm in 0..2 {
            self.paid_units[arm] += other.paid_units[arm];
            self.ready[arm] += other.ready[arm];
            self.covered[arm] += other.covered[arm];
        }
    }
}

fn by_steps(steps: &[Step], units: f64) -> f64 {
    let (mut usd, mut from) = (0.0, 0.0);
    for step in steps {
        usd += (units.min(step.up_to) - from).max(0.0) * step.usd;
        from = step.up_to;
    }
    usd
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn each_tariff_bills_the_same_call_in_its_own_unit() {
        let used = json!({"invocations": 1, "billed_ms": 15, "billed_mb_ms": 15 * 1024, "hundreds_ms": 100,
            "hundreds_mb_ms": 100 * 1024, "cpu_billed_ms": 3});
        let billed = |name: Name| name.tariff().measure(&used).billed_ms;
        assert_eq!((billed(Name::Aws), billed(Name::Aws2016), billed(Name::ActiveCpu)), (15.0, 100.0, 3.0));
        let usd = |name: Name| name.tariff().price(&name.tariff().measure(&used), false);
        assert!(near(usd(Name::Aws), 0.2e-6 + 0.015 * 0.000_016_666_7));
        assert!(near(usd(Name::Aws2016), 0.2e-6 + 0.1 * 0.000_016_67));
        assert!(near(usd(Name::ActiveCpu), 0.3e-6 + 3.0 * 0.02e-6));
    }

    /// The examples of the AWS Lambda pricing page: a mobile app of 3 million requests, 120 ms at 1,536 MB with the free
    /// tier, is $2.73 ("$0.40 for requests, $2.33 for compute").
    #[test]
    fn the_free_tier_is_taken_off_as_in_awss_example() {
        let amount = Amount { requests: 3e6, units: 3e6 * 0.120 * 1.5, ..Amount::default() };
        let usd = AWS.price(&amount, true);
        assert!((usd - 2.733).abs() < 0.01, "{usd}");
        let little = Amount { requests: 10.0, units: 5.0, arm_units: 5.0, ..Amount::default() };
        assert_eq!(AWS.price(&little, true), 0.0);
        let arm = Amount { units: 300_000.0, arm_units: 200_000.0, ..Amount::default() };
        assert!(near(AWS.price(&arm, true), 100_000.0 * 0.000_013_333_4));
    }

    /// An example of the AWS Lambda pricing page: 1,000 environments of 1,024 MB for two hours, in which 1.2 million requests
    /// run for a second each: $30.00 for what is kept ready, $0.24 for requests and $11.67 for duration. No free tier.
    #[test]
    fn provisioned_concurrency_costs_as_in_awss_example() {
        let used = json!({"invocations": 1_200_000, "billed_mb_ms": 1_200_000_u64 * 1000 * 1024,
            "covered_mb_ms": 1_200_000_u64 * 1000 * 1024, "provisioned_mb_ms": 1000_u64 * 7200 * 1000 * 1024});
        let amount = AWS.measure(&used);
        assert_eq!((amount.ready_gb_s(), amount.gb_s(), amount.units), (7.2e6, 1.2e6, 0.0));
        for usd in [AWS.price(&amount, true), AWS.price(&amount, false), AWS.list_price(&amount)] {
            assert!((usd - 41.91).abs() < 0.01, "{usd}");
        }
        let arm = json!({"billed_mb_ms": 2048 * 1000, "arm_billed_mb_ms": 2048 * 1000, "covered_mb_ms": 1024 * 1000,
            "arm_covered_mb_ms": 1024 * 1000, "provisioned_mb_ms": 1024 * 1000, "arm_provisioned_mb_ms": 1024 * 1000});
        let usd = AWS.price(&AWS.measure(&arm), false);
        assert!(near(usd, 0.000_003_333_4 + 0.000_007_777_8 + 0.000_013_333_4), "what spills over is on demand: {usd}");
        assert!(near(AWS_2016.price(&AWS_2016.measure(&used), false), 0.24), "it was not there in 2016");
    }

    /// "The AWS Lambda free tier does not apply to functions enabled with Provisioned Concurrency" (AWS Lambda Pricing).
    #[test]
    fn the_free_tier_is_not_for_functions_with_provisioned_concurrency() {
        let provisioned = |arm: bool| {
            let on = |amount: u64| if arm { amount } else { 0 };
            let (billed, covered) = (3 * 1024 * 1000, 1024 * 1000);
            json!({"invocations": 3, "billed_mb_ms": billed, "arm_billed_mb_ms": on(billed), "covered_mb_ms": covered,
                "arm_covered_mb_ms": on(covered), "provisioned_mb_ms": covered, "arm_provisioned_mb_ms": on(covered)})
        };
        let other = json!({"invocations": 5, "billed_mb_ms": 5 * 1024 * 1000});
        let mut month = Amount::default();
        for used in [provisioned(false), provisioned(true), other] {
            month.add(&AWS.measure(&used));
        }
        assert_eq!((month.units, month.arm_units, month.paid_units), (7.0, 2.0, [2.0, 2.0]));
        let kept = 0.000_004_166_7 + 0.000_009_722_2 + 0.000_003_333_4 + 0.000_007_777_8;
        let spilled = 2.0 * 0.000_016_666_7 + 2.0 * 0.000_013_333_4;
        let usd = AWS.price(&month, true);
        assert!(near(usd, 6.0 * 0.2e-6 + kept + spilled), "{usd}");
    }

    #[test]
    fn large_months_go_by_steps() {
        assert!(near(by_steps(&X86, 7e9), 6e9 * 0.000_016_666_7 + 1e9 * 0.000_015));
        assert!(near(by_steps(&X86, 16e9), 6e9 * 0.000_016_666_7 + 9e9 * 0.000_015 + 1e9 * 0.000_013_333_4));
    }
}
