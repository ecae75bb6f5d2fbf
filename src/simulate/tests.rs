//! The real scheduler in generated worlds: each recipient is completed, no limit is exceeded, a seed makes one run.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::{GeneratedList, ShippedMix, SimulationReport, SimulationSetup, receivers};
use crate::policy::Pace;

fn run(
    mix: ShippedMix,
    rows: u32,
    egresses: usize,
    pace: Pace,
    log: Option<&mut dyn Write>,
) -> SimulationReport {
    let list = Arc::new(GeneratedList::generate(&mix.mix().unwrap(), rows, 7));
    let max_wait = Duration::from_secs(1800);
    super::run(
        &list,
        &SimulationSetup { egresses, pace, max_wait, confirm: false, sockets: 1000, seed: 7 },
        log,
    )
    .unwrap()
}

#[test]
fn confirmation_by_postmaster_costs_few_probes_and_exceeds_no_limit() {
    let list = Arc::new(GeneratedList::generate(&ShippedMix::B2b.mix().unwrap(), 1500, 7));
    let max_wait = Duration::from_secs(1800);
    let setup =
        SimulationSetup { egresses: 1, pace: Pace::Fast, max_wait, confirm: true, sockets: 1000, seed: 7 };
    let report = super::run(&list, &setup, None).unwrap();
    let probes = report.confirming_probes().unwrap();
    assert!((1..report.probes / 50).contains(&probes.into()), "{probes} of {}", report.probes);
    assert_eq!(report.violations, receivers::Violations::default());
    assert_eq!(report.address_violations, receivers::Violations::default());
}

#[test]
fn each_recipient_is_completed_and_no_limit_exceeded() {
    for mix in [ShippedMix::B2b, ShippedMix::B2c] {
        for (egresses, pace) in [(1, Pace::Fast), (4, Pace::Fast), (1, Pace::Normal)] {
            let report = run(mix, 1500, egresses, pace, None);
            let what = format!("{mix:?} {egresses} {pace:?}");
            assert_eq!(report.completion.completed, report.completion.submitted, "{what}");
            assert_eq!(report.violations, receivers::Violations::default(), "{what}");
            assert_eq!(report.address_violations, receivers::Violations::default(), "{what}");
            assert!(report.rejected_sessions <= 20, "{what}: {}", report.rejected_sessions);
            if pace == Pace::Fast {
                assert!(report.probes >= report.bound.need().probes, "{what}");
                assert!(report.ratio().is_some_and(|ratio| ratio >= 0.99), "{what}: {:?}", report.ratio());
            }
        }
    }
}

#[test]
fn the_figures_can_be_worked_out_from_the_log() {
    let mut log = Vec::new();
    let report = run(ShippedMix::B2b, 500, 1, Pace::Fast, Some(&mut log));
    let lines: Vec<serde_json::Value> =
        log.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).cloned().collect::<Vec<_>>();
    let sum = |lines: &[serde_json::Value], key: &str| {
        lines.iter().filter_map(|line| line[key].as_u64()).sum::<u64>()
    };
    assert_eq!(of("setup").len(), 1);
    assert_eq!(of("domain").len(), report.domains);
    assert_eq!(of("session").len() as u64, report.connections);
    assert_eq!(sum(&of("session"), "asked"), report.probes);
    assert_eq!(sum(&of("session"), "controls"), u64::from(report.controls.sum()));
}

#[test]
fn a_seed_makes_one_list_and_one_run() {
    let [one, other] = [(); 2].map(|()| run(ShippedMix::B2c, 500, 2, Pace::Fast, None));
    assert_eq!(
        (one.completion.makespan, one.probes, one.connections),
        (other.completion.makespan, other.probes, other.connections)
    );
}
