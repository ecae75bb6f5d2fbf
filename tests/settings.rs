//! Where settings come from: a flag wins over the environment, the environment over files; and what is shown of them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::process::{Command, Stdio};

use support::{Folder, Ran, SENDER};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane"]
[[host]]
name = "mx.acme.example"
"#;

const LIST: &[u8] = b"email\njane@acme.example\n";

/// A proxy with a password, as the environment may hold it.
const PROXY: &str = "socks5://jane:pass%40word@192.0.2.1:1080";

fn with_environment(folder: &Folder, arguments: &[&str], set: &[(&str, &str)]) -> Ran {
    let mut command = folder.listproof(arguments);
    Ran(command.envs(set.iter().copied()).output().unwrap())
}

#[test]
fn help_never_shows_a_value_of_the_environment() {
    let folder = Folder::new();
    let set = [
        ("LISTPROOF_PROXY", PROXY),
        ("LISTPROOF_MAIL_FROM", "pass%40word@acme.example"),
        ("LISTPROOF_STATE", "/pass%40word"),
        ("LISTPROOF_POLICY", "/pass%40word"),
        ("LISTPROOF_CONFIG", "/pass%40word"),
    ];
    for command in [
        &["verify"][..],
        &["plan"],
        &["check"],
        &["report"],
        &["explain"],
        &["policy", "show"],
        &["state", "stats"],
        &["state", "forget"],
        &["world"],
        &["simulate"],
    ] {
        for flag in ["--help", "-h"] {
            let ran = with_environment(&folder, &[command, &[flag]].concat(), &set);
            let shown = ran.exits(0).stdout();
            assert!(shown.contains("Usage:") && !shown.contains("pass%40word"), "{command:?}: {shown}");
        }
    }
    for command in [&["man"][..], &["completions", "bash"]] {
        assert!(!with_environment(&folder, command, &set).exits(0).stdout().contains("pass%40word"));
    }
}

#[test]
fn an_error_never_shows_the_password_of_a_proxy() {
    let folder = Folder::with(LIST, WORLD);
    let arguments = [&["verify", "list.csv"][..], &SENDER].concat();
    for proxy in ["http://jane:pass%40word@192.0.2.1:1080", "socks5://jane:pass%40word@nowhere"] {
        let ran = with_environment(&folder, &arguments, &[("LISTPROOF_PROXY", proxy)]);
        ran.fails(78, &["--proxy"]);
        assert!(!ran.stderr().contains("pass%40word"), "{}", ran.stderr());
    }
}

#[test]
fn no_state_as_a_flag_wins_over_a_state_of_the_environment() {
    let folder = Folder::with(LIST, WORLD);
    let run = |more: &[&str]| {
        let verify = ["verify", "list.csv", "--dns-only", "--dns", "127.0.0.1:9", "-q", "-o", "out"];
        with_environment(&folder, &[&verify, more].concat(), &[("LISTPROOF_STATE", "s.db")])
    };
    run(&["--no-state"]).exits(0);
    assert!(!folder.path("s.db").exists());
    run(&["--state", "other.db"]).exits(0);
    assert!(!folder.path("s.db").exists() && folder.path("other.db").exists());
    run(&[]).exits(0);
    assert!(folder.path("s.db").exists(), "the variable is read");
}

#[test]
fn a_world_as_a_flag_wins_over_the_network_of_the_environment() {
    let folder = Folder::with(LIST, WORLD);
    let set = [
        ("LISTPROOF_DNS", "192.0.2.53"),
        ("LISTPROOF_PROXY", PROXY),
        ("LISTPROOF_SMTP_PORT", "2525"),
        ("LISTPROOF_STATE", "s.db"),
    ];
    let verify = ["verify", "list.csv", "--world", "world.toml", "-o", "out"];
    let ran = with_environment(&folder, &verify, &set);
    ran.exits(0);
    assert_eq!(folder.rows("out/list.deliverable.csv"), 1);
    assert!(!folder.path("s.db").exists(), "the facts of a world are not kept with those of the Internet");
    let typed = [&verify[..], &["--dns", "192.0.2.53"]].concat();
    with_environment(&folder, &typed, &[]).exits(2);
}

#[test]
fn the_environment_wins_over_a_settings_file() {
    let folder = Folder::with(LIST, WORLD);
    folder.write("listproof.toml", "state = \"file.db\"\nhelo = \"x y\"\n");
    let arguments = ["verify", "list.csv", "--dns-only", "--dns", "127.0.0.1:9", "-q", "-o", "out"];
    let set = [("LISTPROOF_STATE", "variable.db"), ("LISTPROOF_HELO", "probe.example.org")];
    with_environment(&folder, &arguments, &set).exits(0);
    assert!(folder.path("variable.db").exists() && !folder.path("file.db").exists());
    with_environment(&folder, &arguments, &[]).fails(78, &["x y"]);
}

#[test]
fn a_wrong_value_is_blamed_on_the_place_where_it_is_written() {
    let folder = Folder::with(LIST, WORLD);
    let verify = |more: &[&str], set: &[(&str, &str)]| {
        let base = ["verify", "list.csv", "--helo", "probe.example.org", "--mail-from", "check@example.org"];
        let base = if more == ["bare"] { &base[..2] } else { &base[..] };
        let more = if more == ["bare"] { &[] } else { more };
        with_environment(&folder, &[base, more].concat(), set)
    };
    let sender = "mail_from = \"check@example.org\"\n";
    for (file, place) in [
        (format!("# mine\n\nhelo = \"localhost\"\n{sender}"), "listproof.toml:3: `helo = \"localhost\"`"),
        ("helo = \"a.example.org\"\nmail_from = \"me\"\n".to_owned(), "listproof.toml:2: `mail_from"),
        (format!("helo = \"a.example.org\"\n{sender}dns = [\"zz\"]\n"), "listproof.toml:3: `dns = \"zz\"`"),
        (format!("helo = \"a.example.org\"\n{sender}\nproxy = \"http://h:1\"\n"), "listproof.toml:4: `proxy"),
        (format!("{sender}[[egress]]\nhelo = \"x y\"\n"), "listproof.toml:2: `helo"),
    ] {
        folder.write("listproof.toml", &file);
        let ran = verify(&["bare"], &[]);
        ran.fails(78, &[place]);
        assert!(!ran.stderr().contains("`--helo"), "{}", ran.stderr());
    }
    folder.write("listproof.toml", "");
    for (variable, value) in [("LISTPROOF_HELO", "localhost"), ("LISTPROOF_MAIL_FROM", "me")] {
        let ran = verify(&["bare"], &[(variable, value), ("LISTPROOF_DNS", "192.0.2.53")]);
        ran.fails(78, &[&format!("`{variable}={value}`"), "wins over the environment"]);
    }
    verify(&[], &[("LISTPROOF_DNS", "zz")]).fails(78, &["`LISTPROOF_DNS=zz`"]);
    verify(&["--dns", "zz"], &[]).fails(78, &["`--dns zz`"]);
    verify(&["--proxy", "http://h:1"], &[]).fails(78, &["`--proxy "]);
}

#[test]
fn a_home_that_is_no_folder_has_no_settings() {
    let folder = Folder::with(LIST, WORLD);
    let arguments = ["verify", "list.csv", "--offline", "-o", "out"];
    with_environment(&folder, &arguments, &[("HOME", "/dev/null"), ("XDG_CONFIG_HOME", "")]).exits(0);
}

#[test]
fn a_proxy_that_is_down_is_named_and_no_mail_server_is_blamed() {
    let folder = Folder::with(LIST, WORLD);
    let arguments =
        [&["verify", "list.csv", "--proxy", "socks5://localhost:1", "--dns", "127.0.0.1:9"], &SENDER[..]];
    let ran = with_environment(&folder, &arguments.concat(), &[]);
    ran.fails(78, &["proxy `localhost:1`", "--proxy"]);
    assert!(!ran.stderr().contains("port 25"), "{}", ran.stderr());
}

/// `script` runs the program on a terminal of its own.
#[test]
fn a_run_on_a_terminal_begins_without_a_complaint() {
    let folder = Folder::with(LIST, WORLD);
    let command = format!(
        "{} verify list.csv --world world.toml -o out 2>&1; echo ended with $?",
        env!("CARGO_BIN_EXE_listproof")
    );
    let ran = Command::new("script")
        .args(["-q", "-c", &command, "/dev/null"])
        .current_dir(folder.path(""))
        .env("HOME", folder.path(""))
        .stdin(Stdio::null())
        .output();
    let ran = match ran {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("left out: there is no program `script` here");
            return;
        }
        ran => ran.unwrap(),
    };
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(shown.contains("ended with 0") && shown.contains("deliverable"), "{shown}");
    assert!(!shown.contains("tracing") && !shown.contains("feature"), "{shown}");
}
