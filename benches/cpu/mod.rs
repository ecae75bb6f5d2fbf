//! The CPU time of other processes: what the benchmarks compare first, because it hardly depends on what else the machine
//! does.

/// User and system time of all children that have ended, in seconds (`man 5 proc_pid_stat`, fields 16 and 17). The system
/// counts it in ticks of 10 ms.
pub(crate) fn of_ended_children_s() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
