//! A town: one list with sixty-one domains, eight hundred addresses and fifteen servers of five programs, with a mix of
//! limits, greylisting, rejections and catch-alls. Every row must get its right reason; only rows whose MX host rejects us may
//! be unknown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::scenario::Scenario;

/// Mailboxes of a domain.
const MAILBOXES: usize = 8;
/// Recipients of the list at each domain that do not exist.
const UNKNOWN_RECIPIENTS: usize = 5;

/// A kind of host: one MX host, and the domains that it serves.
struct Kind {
    name: &'static str,
    domains: usize,
    /// The section of a scenario for its configuration.
    program: &'static str,
    /// The configuration; `{domains}` is replaced by the list of domains, `{people}` by that of the mailboxes.
    config: &'static str,
    /// The separator of lists, and the text after each mailbox.
    list: (&'static str, &'static str),
    /// The reason of mailboxes, and that of unknown recipients.
    reasons: [&'static str; 2],
}

const fn postfix(
    name: &'static str,
    domains: usize,
    config: &'static str,
    reasons: [&'static str; 2],
) -> Kind {
    Kind { name, domains, program: "postfix", config, list: (", ", "=x"), reasons }
}

const ORDINARY: [&str; 2] = ["accepted", "mailbox_unknown"];

const KINDS: [Kind; 15] = [
    postfix("plain", 12, "", ORDINARY),
    postfix(
        "hasty",
        5,
        "smtpd_soft_error_limit = 2\nsmtpd_hard_error_limit = 4\nsmtpd_error_sleep_time = 0",
        ORDINARY,
    ),
    postfix("narrow", 4, "smtpd_client_connection_count_limit = 1\nsmtpd_recipient_limit = 3", ORDINARY),
    postfix("measured", 3, "smtpd_client_recipient_rate_limit = 20\nanvil_rate_time_unit = 10s", ORDINARY),
    postfix(
        "grey",
        5,
        "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:127.0.0.1:10023",
        ORDINARY,
    ),
    postfix("open", 5, "virtual_alias_maps = static:anybody@elsewhere.test", ["catch_all", "catch_all"]),
    postfix(
        "listed",
        3,
        "smtpd_client_restrictions = check_client_access static:{REJECT blocked using bl.lab.test}",
        ["ip_blocklisted", "ip_blocklisted"],
    ),
    postfix(
        "aloof",
        2,
        "smtpd_helo_restrictions = check_helo_access static:{REJECT}\nsmtpd_delay_reject = no",
        ["ptr_or_helo", "ptr_or_helo"],
    ),
    postfix("tarry", 1, "smtpd_soft_error_limit = 1\nsmtpd_error_sleep_time = 1s", ORDINARY),
    postfix(
        "sealed",
        3,
        "smtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = $lab_certificate",
        ORDINARY,
    ),
    postfix(
        "stately",
        3,
        "smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access \
         regexp:{ {/^full@/ 452 4.2.2 Mailbox full}, {/^closed@/ 550 5.2.1 Mailbox disabled} }",
        ORDINARY,
    ),
    Kind {
        name: "exim",
        domains: 6,
        program: "exim",
        config: r"acl_smtp_rcpt = rcpt
domainlist ours = {domains}

begin acl
rcpt:
  require domains = +ours
          verify = recipient
  accept

begin routers
mailboxes:
  driver = redirect
  domains = +ours
  data = ${if inlisti{$local_part@$domain}{{people}}{:blackhole:}{}}
",
        list: (" : ", ""),
        reasons: ORDINARY,
    },
    Kind {
        name: "puffy",
        domains: 3,
        program: "opensmtpd",
        config: r#"table people { {people} }
action in maildir "/tmp/mail" virtual <people>
match from any for domain { {domains} } action in"#,
        list: (", ", " = nobody"),
        reasons: ORDINARY,
    },
    Kind {
        name: "wave",
        domains: 3,
        program: "haraka",
        config: r#"const people = "{people}".split(" ")
exports.hook_rcpt = function (next, connection, params) {
    people.includes(params[0].user + "@" + params[0].host) ? next(OK) : next(DENY, "no such user here")
}"#,
        list: (" ", ""),
        reasons: ORDINARY,
    },
    Kind {
        name: "handmade",
        domains: 3,
        program: "aiosmtpd",
        config: r#"people = "{people}".split(" ")

class Lab:
    async def handle_RCPT(self, server, session, envelope, address, options):
        return "250 OK" if address in people + ["postmaster"] else "550 5.1.1 Unknown user""#,
        list: (" ", ""),
        reasons: ORDINARY,
    },
];

/// The town, as one scenario.
pub(crate) fn scenario() -> Result<Scenario, String> {
    let (mut zone, mut rows) = (String::new(), Vec::new());
    let mut programs: BTreeMap<&str, String> = BTreeMap::new();
    for kind in &KINDS {
        let host = format!("mx.{}.town.test", kind.name);
        let domains: Vec<String> = (0..kind.domains).map(|n| format!("{}{n}.town.test", kind.name)).collect();
        let (between, behind) = kind.list;
        let mut people = Vec::new();
        for domain in &domains {
            let _ = writeln!(zone, "{domain}. MX 10 {host}.");
            for n in 0..MAILBOXES {
                people.push(format!("person{n}@{domain}{behind}"));
                rows.push((n, format!("person{n}@{domain}"), kind.reasons[0]));
            }
            rows.extend(
                (0..UNKNOWN_RECIPIENTS).map(|n| (n, format!("unknown{n}@{domain}"), kind.reasons[1])),
            );
            if kind.name == "stately" {
                people.extend(["full", "closed"].map(|name| format!("{name}@{domain}{behind}")));
                rows.push((0, format!("full@{domain}"), "mailbox_full"));
                rows.push((0, format!("closed@{domain}"), "mailbox_disabled"));
            }
        }
        let mailboxes = match kind.program {
            "postfix" => "virtual_mailbox_domains = {domains}\nvirtual_mailbox_maps = inline:{ {people} }\n",
            _ => "",
        };
        let config = (mailboxes.to_owned() + kind.config)
            .replace("{domains}", &domains.join(between))
            .replace("{people}", &people.join(between));
        let section = programs.entry(kind.program).or_default();
        let _ = writeln!(section, "\"{host}\" = '''\n{config}\n'''");
    }
    // In the list the domains are mixed.
    rows.sort_by_key(|(place, ..)| *place);
    let mut text = format!("flags = [\"--pace\", \"fast\"]\nmax_wait = \"200s\"\nzone = '''\n{zone}'''\n");
    for (program, section) in &programs {
        let _ = write!(text, "[{program}]\n{section}");
    }
    for (_, address, reason) in &rows {
        let _ = write!(text, "[[row]]\naddress = \"{address}\"\nreason = \"{reason}\"\n");
    }
    Scenario::parse("a_town_of_sixty_domains_is_judged_right", &text)
}
