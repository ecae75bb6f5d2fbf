//! A scripted world on real sockets, and programs that are timed against it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cpu;

/// A world that is served until it is dropped.
pub(crate) struct Serving(Child);

impl Serving {
    /// Serves a file with its name server and its mail hosts at these ports.
    pub(crate) fn start(file: &str, dns: &str, smtp_port: &str, log: Option<&str>) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_listproof"));
        command.args(["world", file, "--dns", dns, "--smtp-port", smtp_port]);
        command.args(log.into_iter().flat_map(|log| ["--log", log]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(dns).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the world does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Serving(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a file in a folder, as text.
pub(crate) fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Writes a policy folder with these limits for unknown providers.
pub(crate) fn write_policy(folder: &Path, providers: &str) {
    fs::create_dir_all(folder.join("policy")).unwrap();
    fs::write(folder.join("policy/providers.toml"), providers).unwrap();
}

/// The arguments of `listproof verify` for a served world, without the name server, the port and the list.
pub(crate) const VERIFY: [&str; 9] = [
    "verify",
    "-q",
    "--pace=fast",
    "--allow-mx-net=127.0.0.0/8",
    "--helo=probe.example.org",
    "--mail-from=list-check@example.org",
    "--no-state",
    "--policy=policy",
    "--output=out",
];

/// Wall and CPU seconds of a program that runs in a folder.
pub(crate) fn time(folder: &Path, program: &[&str]) -> (f64, f64) {
    let (begun, cpu) = (Instant::now(), cpu::of_ended_children_s());
    let (name, arguments) = program.split_first().unwrap();
    let status = Command::new(name).args(arguments).current_dir(folder).stdout(Stdio::null()).status();
    assert!(status.unwrap().success(), "{program:?}");
    (begun.elapsed().as_secs_f64(), cpu::of_ended_children_s() - cpu)
}
