//! The start of an evaluation, and the explanation at its end (RFC 7208 4.1, 6.2).

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::evaluate::check_host;
use super::expand::can_be_looked_up;
use super::lookup::Lookups;
use super::macros::{MacroString, Place};
use super::report::{SpfReport, SpfResult};
use super::request::SpfRequest;
use crate::error::Error;
use crate::route::{Dns, DnsRecord, DnsTimeouts, NameServers, RecordType};

/// Evaluates SPF for a client, by the answers of a name service.
pub(crate) async fn evaluate_spf(dns: &dyn Dns, request: &SpfRequest) -> SpfReport {
    let mut lookups = Lookups::new(dns, request);
    let outcome = check_host(&mut lookups, request.domain.clone()).await;
    let (counted, void) = (lookups.counted, lookups.void);
    let explanation = match &outcome.explanation {
        Some((target, domain)) if outcome.result == SpfResult::Fail => {
            explain(&mut lookups, target, domain).await
        }
        _ => None,
    };
    SpfReport {
        result: outcome.result,
        decided_by: outcome.decided_by,
        problem: outcome.problem,
        lookups: counted,
        void_lookups: void,
        tree: Some(outcome.branch),
        explanation,
    }
}

/// The text that `exp` leads to. Its look-ups count nowhere, and any error means: no explanation.
async fn explain(lookups: &mut Lookups<'_>, target: &MacroString, domain: &str) -> Option<String> {
    (lookups.counted, lookups.void) = (0, 0);
    let name = lookups.target(Some(target), domain).await.ok()?;
    if !can_be_looked_up(&name) {
        return None;
    }
    let records = lookups.records(&name, RecordType::Txt).await.ok()?;
    let [DnsRecord::Text(text)] = records.as_slice() else {
        return None;
    };
    let text = MacroString::parse(std::str::from_utf8(text).ok()?, Place::Explanation).ok()?;
    (lookups.counted, lookups.void) = (0, 0);
    let client_name =
        if text.needs_client_name() { lookups.client_name(domain).await.ok()? } else { String::new() };
    Some(text.expand(&lookups.values(domain, &client_name)))
}

/// Evaluates SPF by the name servers of this machine, or by given ones.
pub async fn check_spf(request: &SpfRequest, servers: &[SocketAddr]) -> Result<SpfReport, Error> {
    let dns = if servers.is_empty() {
        NameServers::of_system(DnsTimeouts::default())?
    } else {
        NameServers::at(servers, DnsTimeouts::default())?
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the macro `t` is the time of day, and no run with a clock is here"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(evaluate_spf(&dns, &request.clone().at(now.as_secs())).await)
}
