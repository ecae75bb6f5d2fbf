//! The stock replies of a world's hosts: texts of well-known mail servers.
//!
//! Data only: one column per software, one row per situation. The placeholders `{host}`, `{ip}`, `{rcpt}`, `{local}`,
//! `{domain}`, `{sender}` and `{helo}` are filled in. A world file can replace each reply.

use serde::Deserialize;

/// The software whose replies and keywords a host uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Software {
    /// Postfix.
    #[default]
    Postfix,
    /// Exim.
    Exim,
    /// Exchange and Microsoft 365.
    Exchange,
    /// Gmail and Google Workspace.
    Google,
}

/// A situation for which a server has a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// The mailbox accepts mail.
    Ok,
    /// No such mailbox.
    Unknown,
    /// Over quota.
    Full,
    /// Closed permanently.
    Disabled,
    /// Disabled temporarily.
    Suspended,
    /// Has a new address.
    Moved,
    /// Accepts mail from some senders only.
    Restricted,
    /// Receives mail too fast.
    Busy,
    /// The server could not verify the recipient now.
    Unverified,
    /// The server rejects the syntax of the address.
    Malformed,
    /// The client is greylisted.
    Greylisted,
    /// The host does not receive mail for the domain.
    Relay,
}

impl Software {
    /// The reply to RCPT in a situation.
    pub fn reply(self, situation: Situation) -> &'static str {
        let [postfix, exim, exchange, google] = match situation {
            Situation::Ok => [
                "250 2.1.5 Ok",
                "250 Accepted",
                "250 2.1.5 Recipient OK",
                "250 2.1.5 OK 98e67ed59e1d1-2e3b6f1a2b3si123456a91.42 - gsmtp",
            ],
            Situation::Unknown => [
                "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table",
                "550 No Such User Here",
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {rcpt} not found by SMTP address lookup",
                "550-5.1.1 The email account that you tried to reach does not exist. Please try\n\
                 550-5.1.1 double-checking the recipient's email address for typos or\n\
                 550 5.1.1 unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser - gsmtp",
            ],
            Situation::Full => [
                "552 5.2.2 <{rcpt}>: Recipient address rejected: Quota exceeded (mailbox for user is full)",
                "452 <{rcpt}> Mailbox quota exceeded",
                "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
                "452-4.2.2 The recipient's inbox is out of storage space. Please direct the\n\
                 452 4.2.2 recipient to https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
            ],
            Situation::Disabled => [
                "550 5.2.1 <{rcpt}>: Recipient address rejected: this account has been closed",
                "550 The account {rcpt} has been deactivated",
                "550 5.2.1 Mailbox disabled for recipient {rcpt}",
                "550-5.2.1 The email account that you tried to reach is inactive. Learn more at\n\
                 550 5.2.1 https://support.google.com/mail/?p=DisabledUser - gsmtp",
            ],
            Situation::Suspended => [
                "450 4.2.1 <{rcpt}>: Recipient address rejected: mailbox temporarily disabled",
                "450 The account {rcpt} is temporarily suspended",
                "450 4.2.1 Mailbox temporarily disabled for recipient {rcpt}",
                "450 4.2.1 The email account that you tried to reach is temporarily disabled - gsmtp",
            ],
            Situation::Moved => [
                "550 5.1.6 <{rcpt}>: Recipient address rejected: User has moved to someone.else@example.org",
                "551 5.1.6 {local} has moved, please try <someone.else@example.org>",
                "550 5.1.6 Recipient {rcpt} has moved; new address someone.else@example.org",
                "550 5.1.6 The recipient has moved to another address - gsmtp",
            ],
            Situation::Restricted => [
                "554 5.7.1 <{rcpt}>: Recipient address rejected: Access denied",
                "550 5.7.1 {rcpt} accepts mail from its members only",
                "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized to send to recipient because \
                 the sender isn't on the recipient's list of senders",
                "550-5.7.1 The group you tried to contact may not exist, or you may not have\n\
                 550 5.7.1 permission to post messages to the group - gsmtp",
            ],
            Situation::Busy => [
                "450 4.2.1 <{rcpt}>: Recipient address rejected: this mailbox receives too much mail just now",
                "451 {rcpt} receives mail too fast, try again later",
                "450 4.2.1 STOREDRV; recipient thread limit exceeded for {rcpt}",
                "450-4.2.1 The user you are trying to contact is receiving mail at a rate that\n\
                 450-4.2.1 prevents additional messages from being delivered. Please resend your\n\
                 450 4.2.1 message at a later time. For more information, go to https://support.google.com/mail/?p=ReceivingRate - gsmtp",
            ],
            Situation::Unverified => [
                "450 4.1.1 <{rcpt}>: Recipient address rejected: unverified address: Address verification in progress",
                "451 Could not complete recipient verify callout",
                "450 4.1.1 Recipient {rcpt} could not be verified",
                "450 4.1.1 The recipient could not be verified, please try again later - gsmtp",
            ],
            Situation::Malformed => [
                "501 5.1.3 Bad recipient address syntax",
                "501 <{rcpt}>: malformed address",
                "501 5.1.3 Invalid address",
                "553-5.1.3 The recipient address <{rcpt}> is not a valid RFC 5321 address.\n\
                 553 5.1.3 For more information, go to https://support.google.com/a/answer/3221692 - gsmtp",
            ],
            Situation::Greylisted => [
                "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/{domain}.html",
                "451 Temporarily rejected. Greylisting is in action, please try again later",
                "451 4.7.1 Greylisting in action, please come back later",
                "451 4.7.1 Greylisting in action, please come back later",
            ],
            Situation::Relay => [
                "554 5.7.1 <{rcpt}>: Relay access denied",
                "550 relay not permitted",
                "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
                "550 5.7.1 Relaying denied. This mail server does not accept mail for {domain}",
            ],
        };
        match self {
            Software::Postfix => postfix,
            Software::Exim => exim,
            Software::Exchange => exchange,
            Software::Google => google,
        }
    }

    /// The greeting.
    pub fn greeting(self) -> &'static str {
        match self {
            Software::Postfix => "220 {host} ESMTP Postfix",
            Software::Exim => "220 {host} ESMTP Exim 4.98 Mon, 05 Jan 2026 09:00:00 +0000",
            Software::Exchange => {
                "220 {host} Microsoft ESMTP MAIL Service ready at Mon, 5 Jan 2026 09:00:00 +0000"
            }
            Software::Google => "220 {host} ESMTP 98e67ed59e1d1-2e3b6f1a2b3si123456a91.42 - gsmtp",
        }
    }

    /// The EHLO keywords without STARTTLS, which depends on the key `tls` of the host.
    pub fn keywords(self) -> &'static [&'static str] {
        match self {
            Software::Postfix => {
                &["PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"]
            }
            Software::Exim => {
                &["SIZE 52428800", "LIMITS MAILMAX=1000 RCPTMAX=50000", "8BITMIME", "PIPELINING"]
            }
            Software::Exchange => {
                &["SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"]
            }
            Software::Google => {
                &["SIZE 157286400", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SMTPUTF8"]
            }
        }
    }
}
