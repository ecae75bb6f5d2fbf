//! The user's own lists of addresses and domains that are not probed (`--exclude`).
//!
//! Decides: what a line of such a list excludes: an address in every spelling, or with `@` in front a whole domain, without
//! the domains below it. Any list that `verify` reads is read; so is a text with one entry a line. Must not: drop a line
//! silently; what excludes nothing is counted in a warning. Fails: when a file can't be read.

use std::collections::HashSet;
use std::path::PathBuf;

use foldhash::fast::RandomState;

use crate::address::{self, Address, Domain, MailHost, folded_local};
use crate::error::Error;
use crate::list::{self, AddressHash, AddressHasher, ListEntry, ListError, ReadOptions, Source};

/// Addresses and domains that are excluded.
#[derive(Clone, Default)]
pub struct Exclusions {
    hasher: AddressHasher,
    /// Hashes of addresses: a list may have millions.
    addresses: HashSet<AddressHash, RandomState>,
    domains: HashSet<Domain, RandomState>,
    /// What distinguishes the lists from others.
    identity: String,
}

impl Exclusions {
    /// Reads the lists.
    pub(super) fn read(files: &[PathBuf]) -> Result<Exclusions, Error> {
        let mut exclusions = Exclusions::default();
        for file in files {
            let unused = exclusions.read_file(file)?;
            if unused > 0 {
                tracing::warn!(
                    event = "exclude",
                    "{}: {unused} lines are neither an address nor a domain like `@example.org`, and exclude nothing",
                    file.display()
                );
            }
        }
        Ok(exclusions)
    }

    /// Reads one list; returns how many of its lines exclude nothing.
    fn read_file(&mut self, file: &PathBuf) -> Result<u64, Error> {
        let options = ReadOptions { split_cells: true, ..ReadOptions::default() };
        let list = match list::open(&Source::Path(file.clone()), &options) {
            Ok(list) => list,
            // A list of domains alone has no column of addresses.
            Err(error @ ListError::NoAddressColumn { .. }) => return self.read_lines(file, error),
            Err(ListError::Empty { .. }) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        self.identity.extend([" ", list.identity()?.as_str()]);
        // The first entry may have been taken for a header.
        let format = list.format();
        if format.has_header {
            self.add(&format.columns[format.address_column]);
        }
        let mut unused = 0;
        let mut rows = list.rows()?;
        while let Some(entry) = rows.next()? {
            let is_used = match &entry {
                ListEntry::Row(row) => self.add(row.address()),
                ListEntry::Unreadable(row) => self.add(&row.text),
            };
            unused += u64::from(!is_used);
        }
        Ok(unused)
    }

    /// Reads a text with one entry a line; `not_a_list` is why it is no list.
    fn read_lines(&mut self, file: &PathBuf, not_a_list: ListError) -> Result<u64, Error> {
        let Ok(text) = std::fs::read_to_string(file) else { return Err(not_a_list.into()) };
        let lines = || text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
        let unused = lines().filter(|line| !self.add(line)).count() as u64;
        if unused > 0 && unused == lines().count() as u64 {
            return Err(not_a_list.into());
        }
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        self.identity.extend([" ", format!("{:02x?}", &hash.as_ref()[..16]).as_str()]);
        Ok(unused)
    }

    /// Adds an entry; false if it is neither an address nor a domain, and not empty either.
    fn add(&mut self, text: &str) -> bool {
        let text = text.trim().trim_matches(['"', '\'', ',', ';']).trim();
        if text.is_empty() || text.starts_with('#') {
            return true;
        }
        if let Some(domain) = text.strip_prefix("*@").or(text.strip_prefix('@')) {
            let domain = domain.split([',', ';', '\t', ' ']).next().unwrap_or(domain);
            return Domain::parse(domain).map(|domain| self.domains.insert(domain)).is_ok();
        }
        let address = address::repair(text).0;
        address.map(|address| self.addresses.insert(self.hash(&address))).is_ok()
    }

    /// True for an excluded address, in any spelling.
    pub(super) fn has(&self, address: &Address) -> bool {
        address.domain().is_some_and(|domain| self.domains.contains(domain))
            || self.addresses.contains(&self.hash(address))
    }

    /// True for an excluded address, from its local part and its domain.
    pub(super) fn has_parts(&self, local: &str, domain: &str) -> bool {
        self.domains.contains(domain) || self.addresses.contains(&self.hash_parts(local, domain))
    }

    /// A text that differs for other lists.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    fn hash(&self, address: &Address) -> AddressHash {
        match address.host() {
            MailHost::Domain(domain) => self.hash_parts(address.local(), domain.as_str()),
            MailHost::Literal(ip) => self.hasher.hash(&(folded_local(address.local()), ip)),
        }
    }

    fn hash_parts(&self, local: &str, domain: &str) -> AddressHash {
        self.hasher.hash(&(folded_local(local), domain))
    }
}

/// Without the addresses.
impl std::fmt::Debug for Exclusions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exclusions({} addresses, {} domains)", self.addresses.len(), self.domains.len())
    }
}
