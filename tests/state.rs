//! The state as a user meets it: a run goes on where it stopped, nobody is asked twice, and a file that is not ours, or of
//! another world, is left as it is.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["user{1..30}"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "any.example"
mx = ["10 mx.any.example"]
catch_all = true
[[host]]
name = "mx.any.example"
"#;

/// A folder of its own for one test, with a world and a list of 60 in it.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Lab {
        let lab = Lab(tempfile::tempdir().unwrap());
        std::fs::write(lab.path("world.toml"), WORLD).unwrap();
        let emails = (1..=40).map(|n| format!("user{n}@acme.example\n"));
        let list: String = emails.chain((1..=20).map(|n| format!("user{n}@any.example\n"))).collect();
        std::fs::write(lab.path("list.csv"), format!("email\n{list}")).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_listproof"));
        command.args(arguments).current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(code == 0 || code == 10 || errors.contains("\nhint: "), "{errors}");
        output
    }

    /// `verify` in the world, with a state.
    #[track_caller]
    fn verify(&self, out: &str, more: &[&str], code: i32) -> serde_json::Value {
        let arguments =
            ["verify", "list.csv", "--world", "world.toml", "--state", "kept/state.db", "-q", "-o", out];
        self.run(&[&arguments[..], more].concat(), code);
        self.summary(out)
    }

    fn summary(&self, out: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path(out).join("list.summary.json")).unwrap()).unwrap()
    }

    fn results(&self, out: &str) -> String {
        std::fs::read_to_string(self.path(out).join("list.results.csv")).unwrap()
    }
}

fn query(file: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_second_run_asks_nobody_and_writes_the_same() {
    let lab = Lab::new();
    let first = lab.verify("one", &[], 0);
    assert_eq!(first["verdicts"]["unknown"], 0);
    let second = lab.verify("two", &[], 0);
    assert_eq!([&second["domains"], &second["questions"], &second["connections"]], [0, 0, 0]);
    assert_eq!(lab.results("two"), lab.results("one"));
    let third = lab.verify("three", &["--fresh", "--pace", "fast"], 0);
    assert_eq!(third["questions"], first["questions"]);
}

#[test]
fn another_list_asks_only_about_whom_nothing_is_known() {
    let lab = Lab::new();
    lab.verify("one", &[], 0);
    let list = "email\nuser1@acme.example\nuser99@acme.example\nnew@any.example\n";
    std::fs::write(lab.path("list.csv"), list).unwrap();
    // Two names are new; that anybody is accepted at one domain, and not at the other, is known.
    let second = lab.verify("two", &[], 0);
    assert_eq!(second["questions"], 1, "{}", lab.results("two"));
    let reasons = &second["reasons"];
    assert_eq!([&reasons["accepted"], &reasons["mailbox_unknown"], &reasons["catch_all"]], [1, 1, 1]);
}

#[test]
fn a_run_that_stops_at_its_time_is_partial_and_the_same_command_goes_on() {
    let lab = Lab::new();
    lab.verify("whole", &[], 0);
    std::fs::remove_dir_all(lab.path("kept")).unwrap();
    let stopped = lab.verify("out", &["--max-duration", "5s"], 10);
    assert_eq!(stopped["partial"], true);
    let left = stopped["still_to_ask"].as_i64().unwrap();
    assert!((1..60).contains(&left), "{left}");
    let rest = lab.verify("out", &[], 0);
    assert_eq!((&rest["partial"], rest["still_to_ask"].as_i64()), (&false.into(), Some(0)));
    let file = lab.path("kept/state.db");
    let asked = "SELECT count(*) FROM attempts WHERE who = 'listed'";
    let once = "SELECT count(DISTINCT email) FROM attempts WHERE who = 'listed'";
    assert_eq!(query(&file, asked), query(&file, once), "nobody was asked twice");
    assert_eq!(query(&file, "SELECT count(*) FROM runs"), 1);
    let verdicts = |out: &str| -> Vec<String> {
        lab.results(out).lines().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(verdicts("out"), verdicts("whole"));
}

#[test]
fn what_an_operator_was_asked_yesterday_counts_today() {
    let lab = Lab::new();
    lab.verify("one", &[], 0);
    // Eleven unknown names were asked about, and such a host bears twenty an hour.
    let second = lab.verify("two", &["--fresh"], 10);
    assert!(second["reasons"]["not_probed"].as_i64().unwrap() > 0, "{second}");
    assert!(lab.results("two").contains(",not_probed,"));
}

#[test]
fn a_report_tells_what_the_run_told_without_asking_anybody() {
    let lab = Lab::new();
    lab.verify("one", &[], 0);
    lab.run(&["report", "list.csv", "--state", "kept/state.db", "-o", "two"], 0);
    assert_eq!(lab.results("two"), lab.results("one"));
    std::fs::write(lab.path("other.csv"), "email\nuser1@acme.example\n").unwrap();
    lab.run(&["report", "other.csv", "--state", "kept/state.db", "-o", "three"], 78);
    lab.run(&["report", "list.csv", "--state", "nowhere.db", "-o", "three"], 78);
}

#[test]
fn an_owner_can_look_into_the_state_and_be_forgotten() {
    let lab = Lab::new();
    lab.verify("one", &[], 0);
    let file = lab.path("kept/state.db");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&lab.path("kept"))), (0o600, 0o700));
    let state = |more: &[&str]| {
        let output = lab.run(&[&["state"], more, &["--state", "kept/state.db"]].concat(), 0);
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        state(&["stats"]).contains("60  addresses asked about: 30 deliverable, 20 risky, 10 undeliverable")
    );
    let known: serde_json::Value = serde_json::from_str(&state(&["export", "user7@acme.example"])).unwrap();
    assert_eq!(
        (&known["verdict"]["reason"], &known["attempts"][0]["code"]),
        (&"accepted".into(), &250.into())
    );
    assert_eq!(state(&["forget", "user7@acme.example"]), "forgotten\n");
    assert_eq!(state(&["export", "user7@acme.example"]), "null\n");
    assert_eq!(lab.verify("two", &[], 0)["questions"], 1, "only who was forgotten");
    assert_eq!(state(&["prune", "--older-than", "1s"]).split(' ').nth(1), Some("60"));
}

#[test]
fn what_is_no_state_or_of_another_world_is_left_as_it_is() {
    let lab = Lab::new();
    lab.verify("one", &[], 0);
    let state = std::fs::read(lab.path("kept/state.db")).unwrap();
    std::fs::write(lab.path("text.db"), "not a database").unwrap();
    std::fs::write(lab.path("cut.db"), &state[..3000]).unwrap();
    std::fs::write(lab.path("newer.db"), &state).unwrap();
    rusqlite::Connection::open(lab.path("newer.db"))
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    rusqlite::Connection::open(lab.path("other.db")).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    std::fs::write(lab.path("world2.toml"), format!("{WORLD}\n# another\n")).unwrap();
    for (world, file, code) in [
        ("world.toml", "text.db", 78),
        ("world.toml", "cut.db", 74),
        ("world.toml", "newer.db", 78),
        ("world.toml", "other.db", 78),
        ("world2.toml", "kept/state.db", 78),
    ] {
        let before = std::fs::read(lab.path(file)).unwrap();
        lab.run(&["verify", "list.csv", "--world", world, "--state", file, "-q", "-o", "two"], code);
        assert!(std::fs::read(lab.path(file)).unwrap() == before, "{file} was changed");
    }
}

/// A world on loopback sockets, as a process of its own.
struct Served {
    child: Child,
    /// The flags that lead to it.
    flags: Vec<String>,
}

impl Served {
    fn of(lab: &Lab) -> Served {
        let mut child = lab
            .command(&["world", "world.toml", "--dns", "127.0.0.1:0", "--smtp-port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines().nth(1).unwrap().unwrap();
        let flags = told.split_whitespace().skip_while(|word| *word != "--dns").take(6);
        Served { flags: flags.map(str::to_owned).collect(), child }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_second_run_at_the_same_time_is_told_who_holds_the_state() {
    let lab = Lab::new();
    let served = Served::of(&lab);
    let flags: Vec<&str> = served.flags.iter().map(String::as_str).collect();
    let sender = ["--helo", "probe.example.org", "--mail-from", "check@example.org"];
    let verify =
        [&["verify", "list.csv", "--state", "s.db", "-q", "-o", "out"], &flags[..], &sender].concat();
    let mut first = lab.command(&verify).spawn().unwrap();
    while !lab.path("s.db").exists() {
        std::thread::yield_now();
    }
    let second = lab.run(&verify, 11);
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains(&format!("is in use by process {}, started ", first.id())), "{told}");
    // A few addresses can be asked about meanwhile.
    let check = ["check", "user1@acme.example", "--state", "s.db", "--json"];
    lab.run(&[&check[..], &flags, &sender].concat(), 0);
    first.kill().unwrap();
    first.wait().unwrap();
    // Its lock died with it.
    lab.run(&[&check[..], &flags, &sender].concat(), 0);
}
