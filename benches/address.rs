//! What one address costs before any probe: parse, clean, classify, suggest.

use divan::{Bencher, black_box};
use email_address::{EmailAddress, Options};

use listproof::internals::address;
use listproof::policy::AddressLists;
use listproof::{Address, Domain};

fn main() {
    divan::main();
}

#[divan::bench(args = ["jane.doe@example.com", "Jane.Doe+news@Mail.Example.COM", "jane@bücher.example", "jane..doe@example.com"])]
fn parse(text: &str) -> bool {
    Address::parse(black_box(text)).is_ok()
}

/// The crate `email_address`, which is commonly used for this, on the same texts.
#[divan::bench(args = ["jane.doe@example.com", "Jane.Doe+news@Mail.Example.COM", "jane@bücher.example", "jane..doe@example.com"])]
fn parse_by_email_address(text: &str) -> bool {
    EmailAddress::parse_with_options(black_box(text), Options::default()).is_ok()
}

#[divan::bench(args = [" <jane@example.com>;", "\"Doe, Jane\" <jane@example.com>"])]
fn clean_and_parse(text: &str) -> bool {
    address::repair(black_box(text)).0.is_ok()
}

#[divan::bench(args = ["gmail.com", "gmial.com", "hotmzil.fr", "some-company.example"])]
fn suggest(bencher: Bencher, text: &str) {
    let targets = &AddressLists::built_in().targets;
    let domain = Domain::parse(text).ok();
    bencher.bench_local(|| address::suggest_domain(black_box(domain.as_ref()?), targets));
}

#[divan::bench(args = ["jane@gmail.com", "info@some-company.example", "jane@a.mailinator.com"])]
fn kinds(bencher: Bencher, text: &str) {
    let address = Address::parse(text).ok();
    bencher.bench_local(|| Some(AddressLists::built_in().kinds.of_address(black_box(address.as_ref()?))));
}
