//! The form of a reply: what servers wrap around the words that count.
//!
//! Decides: which characters and tokens of a reply are words, which are codes, addresses and IP addresses. One text in
//! lower case without accents, brackets and quotes comes out, so that a rule needs to be written only once:
//! `<a@example.com>... User-Unknown (#5.1.1)` reads `@ ... user unknown`.
//! Must not: say what the words mean. Can't know: codes in words ("error five fifty").

use super::matching::Pattern;
use crate::smtp::{Enhanced, Reply};
use std::fmt::Write;
use std::net::IpAddr;

/// Stands for an address in [`NormalizedReply::words`].
const ADDRESS: &str = "@";
/// Stands for an IP address in [`NormalizedReply::words`].
const IP: &str = "~ip";

/// A reply as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct NormalizedReply {
    /// The reply's own code.
    pub(super) code: u16,
    /// The code of the innermost reply, where one host repeats what another said; else the reply's own.
    pub(super) inner_code: u16,
    /// All enhanced codes, in the order in which they stand.
    pub(super) enhanced: Vec<Enhanced>,
    /// All lines as one text of lower-case words, one space between two.
    pub(super) words: String,
}

impl NormalizedReply {
    /// Takes a reply to pieces.
    pub(super) fn of(reply: &Reply) -> NormalizedReply {
        let mut heard =
            NormalizedReply { code: reply.code, inner_code: reply.code, ..NormalizedReply::default() };
        let mut plain = String::new();
        for line in &reply.lines {
            plain.clear();
            fold_into(&mut plain, line);
            heard.take_line(&plain);
        }
        heard.forget_the_command();
        heard
    }

    /// The enhanced code that says most: the innermost that is not a mere `x.y.0`, of the reply's class if there is one.
    pub(super) fn telling_code(&self) -> Option<Enhanced> {
        let class = u8::try_from(self.inner_code / 100).unwrap_or(0);
        let of = |test: &dyn Fn(&&Enhanced) -> bool| self.enhanced.iter().rev().find(test).copied();
        of(&|code| code.class == class && code.detail != 0)
            .or_else(|| of(&|code| code.class == class))
            .or_else(|| of(&|code| code.detail != 0))
            .or_else(|| of(&|_| true))
    }

    /// True when the reply, and the innermost one in it, call the failure permanent.
    pub(super) fn is_permanent(&self) -> bool {
        self.code >= 500 && self.inner_code >= 500
    }

    /// The words without what is said of somebody else: a `;` stands where the mask finds it, and of a link only the host
    /// is left.
    pub(super) fn words_of_the_mailbox(&self, mask: Option<&Pattern>) -> String {
        let mut words = String::with_capacity(self.words.len());
        for word in self.words.split_inclusive(' ') {
            let host = word.find("://").map(|scheme| scheme + 3);
            match host.and_then(|host| Some(host + word[host..].find('/')?)) {
                Some(path) => {
                    words.push_str(&word[..path]);
                    words.push(' ');
                }
                None => words.push_str(word),
            }
        }
        match mask {
            Some(mask) => mask.cut_out_of(words),
            None => words,
        }
    }

    fn take_line(&mut self, line: &str) {
        let mut code_may_come = true;
        let mut tokens = line.split_ascii_whitespace().peekable();
        while let Some(token) = tokens.next() {
            let next_is_enhanced = tokens.peek().is_some_and(|next| bare_enhanced(next).is_some());
            code_may_come = self.take_token(token, code_may_come || next_is_enhanced);
        }
    }

    /// Files one token; true when the next one may be a reply code.
    fn take_token(&mut self, token: &str, code_may_come: bool) -> bool {
        if let Some(code) = bare_enhanced(token) {
            self.enhanced.push(code);
            return true;
        }
        // `550-5.1.1` and `550-Please` start a line of a reply, even where the lines were joined.
        let code = leading_code(token).filter(|(_, rest)| code_may_come || !rest.is_empty());
        if let Some((code, rest)) = code {
            self.inner_code = code;
            return rest.is_empty() || self.take_token(rest, true);
        }
        if let Ok(_ip) = token.trim_end_matches([':', ',', ';', '.']).parse::<IpAddr>() {
            self.push(IP);
            return false;
        }
        if let Some((before, after)) = around_address(token) {
            self.take_plain(before);
            self.push(ADDRESS);
            return self.take_rest(after);
        }
        let is_link = token.contains("://");
        let is_clock = token.bytes().all(|b| b.is_ascii_digit() || b == b':');
        if let Some(at) = token.find(['=', ':']).filter(|_| !is_link && !is_clock) {
            self.take_plain(&token[..at]);
            return self.take_rest(token[at..].trim_start_matches('='));
        }
        self.take_plain(token);
        false
    }

    /// What follows an address or a word: punctuation that belongs to it, then perhaps a wrapped reply.
    fn take_rest(&mut self, rest: &str) -> bool {
        let word = rest.trim_start_matches([':', '.', ',', ';', '!', '?', '/']);
        let colon = rest[..rest.len() - word.len()].contains(':');
        if colon && !self.words.ends_with(':') {
            self.words.push(':');
        }
        if word.is_empty() { colon } else { self.take_token(word, colon) }
    }

    /// A token without address or code: hyphens and underscores part words, except in names of hosts and links.
    fn take_plain(&mut self, token: &str) {
        let is_name = token.trim_end_matches(['.', ',', ';', '!', '?', ':']).contains(['.', '/']);
        if is_name {
            self.push(token);
        } else {
            for word in token.split(['-', '_', '=']) {
                self.push(word);
            }
        }
    }

    fn push(&mut self, word: &str) {
        let bare = word.trim_end_matches(['.', ',', ';', ':', '!', '?']);
        let (known, end) = (spelled(bare), &word[bare.len()..]);
        if word.bytes().all(|b| b.is_ascii_punctuation() && b != b'@') {
            return;
        }
        if !self.words.is_empty() {
            self.words.push(' ');
        }
        self.words.push_str(known);
        self.words.push_str(end);
    }

    /// Postfix and others close a quoted reply with the command that it answered; that is no word of the server.
    fn forget_the_command(&mut self) {
        if let Some(at) = self.words.rfind(" in reply to ")
            && self.words[at..].ends_with("command")
        {
            self.words.truncate(at);
        }
    }
}

/// The words of a reply without all that differs from recipient to recipient and from minute to minute: addresses, the
/// recipient's own name, hosts, numbers, queue ids, dates. Two replies that are equal in it say the same.
pub fn normalized_text(reply: &Reply, recipient: &str) -> String {
    let mut own = String::new();
    fold_into(&mut own, recipient);
    let (local, domain) = own.rsplit_once('@').unwrap_or((&own, ""));
    let own_names: Vec<&str> = local.split(['-', '_', '.', '+']).chain([local, domain]).collect();
    let heard = NormalizedReply::of(reply);
    let mut text = heard.code.to_string();
    for code in &heard.enhanced {
        // Writing to a `String` can't fail.
        let _ = write!(text, " {code}");
    }
    for word in heard.words.split(' ') {
        let word = word.trim_matches(['.', ',', ';', ':', '!', '?']);
        let varies = word.bytes().any(|b| b.is_ascii_digit() || matches!(b, b'@' | b'.' | b'/' | b'~'))
            || word.len() > 24
            || own_names.contains(&word);
        if !varies && !word.is_empty() {
            text.push(' ');
            text.push_str(word);
        }
    }
    text
}

fn bare_enhanced(token: &str) -> Option<Enhanced> {
    Enhanced::parse(token.trim_matches([':', ',', ';', '.', '-']))
}

/// A reply code of a refusal at the start of a token, and what follows it: `550`, `550-5.1.1`, `550:`.
fn leading_code(token: &str) -> Option<(u16, &str)> {
    let (digits, rest) = token.split_at_checked(3)?;
    let code: u16 = digits.parse().ok()?;
    let rest_is_apart = rest.is_empty() || rest.starts_with(['-', ':', ',', ';']);
    let is_number = rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    ((400..600).contains(&code) && rest_is_apart && !is_number)
        .then(|| (code, rest.trim_start_matches(['-', ':', ',', ';'])))
}

/// What stands before and after an address in a token: `rcpt=a@example.com:550` gives `rcpt=` and `:550`.
fn around_address(token: &str) -> Option<(&str, &str)> {
    let at = token.find('@')?;
    let before = token[..at].rfind([':', ';', ',', '=', '/', '!']).map_or("", |cut| &token[..=cut]);
    let domain = &token[at + 1..];
    let end =
        domain.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(domain.len());
    let end = domain[..end].trim_end_matches(['.', '-', '_']).len();
    Some((before, &domain[end..]))
}

/// Words that servers misspell, as the rules have them.
fn spelled(word: &str) -> &str {
    match word {
        "adress" | "addres" | "addess" | "adresss" | "addresss" | "addrress" => "address",
        "recepient" | "recipent" | "receipient" | "reciepient" | "recipinet" | "recpient" | "recipiant"
        | "receipent" | "recipeint" | "recepeint" | "recient" => "recipient",
        "unkown" | "unknow" | "uknown" | "unknwon" | "unknonw" | "unkonwn" | "unknwn" | "unknowed" => {
            "unknown"
        }
        "exsist" | "exsit" | "exisit" | "exits" | "exsits" | "exisits" => "exists",
        "dosnt" | "dosent" | "doesent" | "doensnt" | "doenst" | "doesnot" | "donot" => "doesnt",
        "malbox" | "mailbx" | "maibox" | "mailobx" => "mailbox",
        "accout" | "acount" | "acccount" | "accont" => "account",
        "temporarly" | "temporarely" | "temporaly" | "temporarilly" => "temporarily",
        "blackist" | "blaklisted" => "blacklisted",
        "recieve" => "receive",
        "recieving" => "receiving",
        other => other,
    }
}

/// Lower case, without accents, brackets, quotes and apostrophes.
fn fold_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' | ' ' => out.push(c),
            'A'..='Z' => out.push(c.to_ascii_lowercase()),
            '\'' | '’' | '`' | '´' | '‘' => {}
            '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '“' | '”' | '„' | '«' | '»' | '|' | '*'
            | '#' | '\\' | '\t' | '\u{a0}' | '…' | '–' | '—' | '（' | '）' | '【' | '】' | '「' | '」' =>
            {
                out.push(' ');
            }
            _ if c.is_ascii() => out.push(c),
            _ => c.to_lowercase().for_each(|c| push_without_accent(out, c)),
        }
    }
}

fn push_without_accent(out: &mut String, c: char) {
    let plain = match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | '\u{1ea0}'..='\u{1eb7}' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è'..='ë' | 'ē' | 'ę' | 'ě' | 'ė' | '\u{1eb8}'..='\u{1ec7}' => "e",
        'ğ' | 'ģ' => "g",
        'ì'..='ï' | 'ī' | 'ı' | 'į' | '\u{1ec8}'..='\u{1ecb}' | 'ĩ' => "i",
        'ł' | 'ľ' | 'ļ' => "l",
        'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' | '\u{1ecc}'..='\u{1ee3}' | 'ơ' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | '\u{1ee4}'..='\u{1ef1}' | 'ư' | 'ũ' => "u",
        'ý' | 'ÿ' | '\u{1ef2}'..='\u{1ef9}' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ё' => "е",
        'ά' => "α",
        'έ' => "ε",
        'ή' => "η",
        'ί' => "ι",
        'ό' => "ο",
        'ύ' => "υ",
        'ώ' => "ω",
        // Combining marks, and the dot that lower-casing a Turkish capital leaves behind.
        '\u{300}'..='\u{36f}' => "",
        other => return out.push(other),
    };
    out.push_str(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        NormalizedReply::of(&Reply::parse(text.as_bytes()).unwrap()).words
    }

    #[test]
    fn words_come_out_bare() {
        for (reply, expected) in [
            ("550 5.1.1 <a@example.com>... User-Unknown", "@ user unknown"),
            ("550 Empfänger a@example.com existiert nicht!", "empfanger @ existiert nicht!"),
            ("550 5.1.1 This user doesn't have an account", "this user doesnt have an account"),
            ("550 sorry, no mailbox here by that name. (#5.1.1)", "sorry, no mailbox here by that name."),
            (
                "554 Client host [192.0.2.1] blocked using zen.example.org",
                "client host ~ip blocked using zen.example.org",
            ),
            ("554 ip=2001:db8::1 listed", "ip ~ip listed"),
            (
                "550 permanent failure for one or more recipients (a@example.com:550 5.1.1 unknown)",
                "permanent failure for one or more recipients @: unknown",
            ),
            (
                "550 permanent failure for one or more recipients (a@example.com:blocked)",
                "permanent failure for one or more recipients @: blocked",
            ),
            ("550-5.1.1 The account\n550 5.1.1 does not exist", "the account does not exist"),
            ("550 5.1.1 The account 550-5.1.1 does not 550 5.1.1 exist", "the account does not exist"),
            ("550 see http://example.org/a-b?c=r0103 now", "see http://example.org/a-b?c=r0103 now"),
            (
                "550 host mx.example.com[192.0.2.1] said: 550 5.1.1 no user (in reply to RCPT TO command)",
                "host mx.example.com ~ip said: no user",
            ),
            ("450 retry in 450 seconds", "retry in 450 seconds"),
        ] {
            assert_eq!(words(reply), expected, "{reply}");
        }
    }

    #[test]
    fn the_innermost_code_and_the_most_telling_enhanced_code_are_found() {
        let heard = |text: &str| NormalizedReply::of(&Reply::parse(text.as_bytes()).unwrap());
        let wrapped = heard("550 5.0.0 host said: 450 4.1.1 not now");
        assert_eq!((wrapped.code, wrapped.inner_code), (550, 450));
        assert!(!wrapped.is_permanent());
        for (reply, code) in [
            ("550 550 5.7.1 no", "5.7.1"),
            ("550 no (#5.1.1)", "5.1.1"),
            ("452 5.3.1 full", "5.3.1"),
            ("550 5.1.1 no, 5.0.0", "5.1.1"),
            ("550-5.2.1 a\n550 5.2.1 b", "5.2.1"),
        ] {
            assert_eq!(heard(reply).telling_code().map(|c| c.to_string()).as_deref(), Some(code), "{reply}");
        }
    }

    #[test]
    fn the_same_refusal_of_two_recipients_is_the_same_text() {
        let text =
            |reply: &str, recipient| normalized_text(&Reply::parse(reply.as_bytes()).unwrap(), recipient);
        assert_eq!(
            text("550 5.1.1 <ann@example.com> ann unknown id 4Fx1 Mon, 01", "ann@example.com"),
            text("550 5.1.1 <bob@example.org> bob unknown id 9Zz2 Mon, 09", "bob@example.org"),
        );
        assert_ne!(text("550 5.1.1 no", "a@example.com"), text("550 5.7.1 no", "a@example.com"));
    }
}
