//! What a job over a list reads and writes.
//!
//! Decides: nothing. Plain values become an [`OpenedList`] once the list is open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::analyze::AnalyzeOptions;
use super::exclusions::Exclusions;
use crate::error::Error;
use crate::list::{self, List, OutputTarget, ReadOptions, Source, WriteOptions};
use crate::policy::{BouncePriors, Policy, Profile};
use crate::report::{Gates, PageOptions, Rerun};

/// A list, and what is written about it.
#[derive(Debug)]
pub struct ListJob {
    /// The list.
    pub source: Source,
    /// How it is read.
    pub reading: ReadOptions,
    /// Where the results go; `None` is the folder named after the list.
    pub target: Option<OutputTarget>,
    /// How they are written.
    pub writing: WriteOptions,
    /// Correct obvious typos, and verify the corrected address.
    pub apply_suggestions: bool,
    /// Write only rows whose verdict or reason changed since they were last reported.
    pub changed_only: bool,
    /// Addresses that differ in ASCII case are different ones.
    pub case_sensitive: bool,
    /// Lists of addresses and domains that are not probed.
    pub exclude: Vec<PathBuf>,
    /// When a finished run counts as failed.
    pub gates: Gates,
    /// A file with expected bounce rates, in place of those of the policy.
    pub bounce_priors: Option<PathBuf>,
    /// The id of the profile of a product that the list is handed over to.
    pub profile: Option<String>,
    /// How the report is written.
    pub pages: PageOptions,
    /// The command line, for the commands that a summary names.
    pub rerun: Rerun,
}

/// A list that is open, with what is written about it.
pub struct OpenedList {
    pub(super) list: List,
    pub(super) exclusions: Option<Arc<Exclusions>>,
    pub(super) job: ListJob,
}

impl ListJob {
    /// The list in a file, with the usual options: results go to the folder `NAME.listproof` in the working folder.
    pub fn new(file: impl Into<PathBuf>) -> ListJob {
        ListJob::of(Source::Path(file.into()))
    }

    /// A list with the usual options.
    pub fn of(source: Source) -> ListJob {
        ListJob {
            source,
            reading: ReadOptions::default(),
            target: None,
            writing: WriteOptions::default(),
            apply_suggestions: false,
            changed_only: false,
            case_sensitive: false,
            exclude: Vec::new(),
            gates: Gates::default(),
            bounce_priors: None,
            profile: None,
            pages: PageOptions::default(),
            rerun: Rerun::default(),
        }
    }

    /// With its results in this folder.
    #[must_use]
    pub fn into_folder(self, folder: impl Into<PathBuf>) -> ListJob {
        ListJob { target: Some(OutputTarget::Folder(folder.into())), ..self }
    }

    /// Opens the list. Where it comes from stdin, all of it is read into a temporary file, so this may take as long as its
    /// writer takes.
    pub fn open(self) -> Result<OpenedList, Error> {
        let list = list::open(&self.source, &self.reading)?;
        let exclusions = if self.exclude.is_empty() { None } else { Some(Exclusions::read(&self.exclude)?) };
        Ok(OpenedList { list, exclusions: exclusions.map(Arc::new), job: self })
    }

    /// The list, and every file that its results may go to.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = OutputTarget::files(self.target.as_ref(), &self.source);
        files.extend(self.source.path().map(Path::to_owned));
        files.extend(self.exclude.iter().cloned());
        files.extend(self.bounce_priors.clone());
        files
    }
}

impl OpenedList {
    /// How many addresses are expected to bounce. Own rates are leaked: a process has one list of them.
    pub(super) fn bounce_priors(&self, policy: Policy) -> Result<&'static BouncePriors, Error> {
        let Some(file) = &self.job.bounce_priors else { return Ok(policy.bounces()) };
        Ok(Box::leak(Box::new(policy.bounces().with_file(file)?)))
    }

    /// The profile of the product that it is handed over to.
    pub(super) fn profile(&self, policy: Policy) -> Result<Option<&'static Profile>, Error> {
        let Some(id) = &self.job.profile else { return Ok(None) };
        let profiles = policy.profiles();
        let profile = profiles.named(id).ok_or_else(|| Error::Usage {
            message: format!("there is no profile `{id}`"),
            hint: format!("there is {}", profiles.ids().collect::<Vec<_>>().join(", ")),
        })?;
        Ok(Some(profile))
    }

    /// How its addresses are analyzed.
    pub(super) fn analyze_options(&self, policy: Policy) -> AnalyzeOptions {
        AnalyzeOptions {
            lists: policy.lists,
            apply_suggestions: self.job.apply_suggestions,
            case_sensitive: self.job.case_sensitive,
            exclusions: self.exclusions.clone(),
        }
    }
}
