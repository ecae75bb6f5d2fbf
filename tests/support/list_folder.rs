//! A folder with a list, whose results are written without a run: the local part of an address decides about its result.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::support::Folder;

use listproof::details::AddressKinds;
use listproof::list::{
    self, ColumnSet, ListEntry, ListError, OutputCounts, OutputTarget, Outputs, ReadOptions, Source,
    WriteOptions,
};
use listproof::{Address, AddressResult, Cause, Confidence, Domain, Finding, Judgment, Reason, Reply};

/// A result as a run could have it; the local part decides which.
pub(crate) fn result(address: &str) -> AddressResult {
    let reply = |code: u16, text: &str| Some(Reply::new(code, [text]));
    let found = |finding: Finding| (Reason::Finding(finding), None);
    let (reason, reply) = match address.split('@').next().unwrap() {
        "" => found(Finding::Empty),
        "gone" => (Reason::Reply(Cause::MailboxUnknown), reply(550, "5.1.1 no, \"gone\" is not here")),
        "full" => (Reason::Reply(Cause::MailboxFull), reply(452, "4.2.2 full")),
        "grey" => (Reason::Reply(Cause::Greylisted), reply(451, "come back later")),
        "guess" => found(Finding::DomainNotServed),
        _ => (Reason::Reply(Cause::Accepted), reply(250, "2.1.5 ok")),
    };
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let sure = !matches!(reason, Reason::Finding(Finding::DomainNotServed));
    AddressResult {
        repairs: Vec::new(),
        judgment: Judgment {
            reason,
            rule: "test".into(),
            confidence: if sure { Confidence::Confirmed } else { Confidence::Inferred },
            retry_after: (reason == Reason::Reply(Cause::Greylisted)).then_some(time),
        },
        did_you_mean: None,
        address: Address::parse(address).ok(),
        kinds: AddressKinds { role: Some(false), ..AddressKinds::default() },
        provider: None,
        mx_host: Domain::parse("mx.example").ok(),
        catch_all: Some(false),
        attempts: u32::from(reply.is_some()),
        checked_at: reply.is_some().then_some(time),
        expires_at: None,
        reply,
    }
}

/// A folder with a list.
pub(crate) struct ListFolder {
    folder: Folder,
}

impl ListFolder {
    pub(crate) fn with(name: &str, bytes: impl AsRef<[u8]>) -> ListFolder {
        ListFolder { folder: Folder::with_file(name, bytes) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Writes the results of a list. Addresses are trimmed, and duplicates are found.
    pub(crate) fn run(
        &self,
        name: &str,
        target: &OutputTarget,
        read: &ReadOptions,
        write: &WriteOptions,
    ) -> Result<OutputCounts, ListError> {
        let list = list::open(&Source::Path(self.path(name)), read)?;
        let mut outputs = Outputs::create(target, list.format(), write)?;
        let mut first = BTreeMap::new();
        let mut rows = list.rows()?;
        while let Some(entry) = rows.next()? {
            match entry {
                ListEntry::Unreadable(row) => outputs.write_unreadable(&row)?,
                ListEntry::Row(row) => {
                    let address = row.address().trim().to_owned();
                    let repaired = (address != row.address()).then_some(address.as_str());
                    let first = *first.entry(address.clone()).or_insert(row.record);
                    let duplicate_of = (first != row.record && !address.is_empty()).then_some(first);
                    outputs.write_row(&row, &result(&address), repaired, duplicate_of)?;
                }
            }
        }
        let finished = outputs.finish()?;
        finished.write_summary(b"{}\n")?;
        Ok(finished.counts)
    }

    pub(crate) fn out(&self) -> OutputTarget {
        OutputTarget::Folder(self.path("out"))
    }

    /// The names and contents of all files in `out`.
    pub(crate) fn files(&self) -> String {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let text = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            format!("== {name}\n{}", std::fs::read_to_string(path).unwrap())
        };
        files.iter().map(text).collect()
    }
}

pub(crate) fn minimal() -> WriteOptions {
    WriteOptions { columns: ColumnSet::Minimal, ..WriteOptions::default() }
}
