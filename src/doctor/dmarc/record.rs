//! DMARC records: their tags (RFC 9989 4.7, 4.8).
//!
//! Decides: which texts are DMARC records, and what a tag with a wrong value counts as: as missing.

/// What a domain asks receivers to do with mail that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Reject it.
    Reject,
}

impl DmarcPolicy {
    fn from_word(word: &str) -> Option<DmarcPolicy> {
        let policies = [
            ("none", DmarcPolicy::None),
            ("quarantine", DmarcPolicy::Quarantine),
            ("reject", DmarcPolicy::Reject),
        ];
        policies.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, policy)| policy)
    }

    /// The next weaker policy: what counts in test mode.
    #[must_use]
    pub fn weaker(self) -> DmarcPolicy {
        if self == DmarcPolicy::Reject { DmarcPolicy::Quarantine } else { DmarcPolicy::None }
    }
}

/// Tag `psd`: the role of the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PsdFlag {
    /// `y`: a public suffix domain.
    Yes,
    /// `n`: an organizational domain.
    No,
    /// `u` or missing: the tree walk decides.
    #[default]
    Unknown,
}

/// A DMARC record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DmarcRecord {
    /// `p`
    pub policy: Option<DmarcPolicy>,
    /// `sp`: for subdomains that exist.
    pub subdomains: Option<DmarcPolicy>,
    /// `np`: for subdomains that do not exist.
    pub nonexistent: Option<DmarcPolicy>,
    /// `psd`
    pub psd: PsdFlag,
    /// `t=y`: the policy counts one step weaker.
    pub is_test: bool,
    /// `adkim=s`
    pub is_dkim_strict: bool,
    /// `aspf=s`
    pub is_spf_strict: bool,
    /// `rua`: where aggregate reports go.
    pub aggregate_reports: Vec<String>,
    /// `ruf`: where failure reports go.
    pub failure_reports: Vec<String>,
    /// Tags of RFC 7489 that count no more: `pct`, `rf`, `ri`, as they are written.
    pub removed: Vec<String>,
}

impl DmarcRecord {
    /// Reads a TXT record. `None` if it is not a DMARC record: its first tag must be `v=DMARC1`, in upper case. Unknown tags
    /// are ignored, and of a tag that stands twice the first counts.
    pub fn parse(text: &str) -> Option<DmarcRecord> {
        let mut tags = text.split(';').map(|tag| {
            let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
            (name.trim(), value.trim())
        });
        if tags.next() != Some(("v", "DMARC1")) {
            return None;
        }
        let mut record = DmarcRecord::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in tags {
            let name = name.to_ascii_lowercase();
            if name.is_empty() || seen.contains(&name) {
                continue;
            }
            let is = |word: &str| value.eq_ignore_ascii_case(word);
            match name.as_str() {
                "p" => record.policy = DmarcPolicy::from_word(value),
                "sp" => record.subdomains = DmarcPolicy::from_word(value),
                "np" => record.nonexistent = DmarcPolicy::from_word(value),
                "psd" if is("y") => record.psd = PsdFlag::Yes,
                "psd" if is("n") => record.psd = PsdFlag::No,
                "t" => record.is_test = is("y"),
                "adkim" => record.is_dkim_strict = is("s"),
                "aspf" => record.is_spf_strict = is("s"),
                "rua" => record.aggregate_reports = addresses(value),
                "ruf" => record.failure_reports = addresses(value),
                "pct" | "rf" | "ri" => record.removed.push(format!("{name}={value}")),
                _ => {}
            }
            seen.push(name);
        }
        Some(record)
    }

    /// The policy of the domain itself. Without `p` it is "none" if reports are asked for; otherwise there is no policy.
    pub fn own_policy(&self) -> Option<DmarcPolicy> {
        self.policy.or_else(|| (!self.aggregate_reports.is_empty()).then_some(DmarcPolicy::None))
    }
}

/// The URIs of a list. The size limits of RFC 7489 (`!10m`) are ignored.
fn addresses(value: &str) -> Vec<String> {
    let uris = value.split(',').map(|uri| uri.trim().split('!').next().unwrap_or_default());
    uris.filter(|uri| {
        uri.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
    })
    .map(str::to_owned)
    .collect()
}
