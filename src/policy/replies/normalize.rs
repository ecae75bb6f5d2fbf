//! Normalizes replies: the form in which rules see them.
//!
//! Decides: which tokens of a reply are words, and which are codes, addresses or IP addresses. The result is one text in
//! lower case without accents, brackets and quotes, so that a rule needs to be written only once:
//! `<a@example.com>... User-Unknown (#5.1.1)` becomes `@ user unknown`.
//! Must not: say what the words mean. Can't know: codes written as words ("error five fifty").

use super::matching::Pattern;
use crate::smtp::{Enhanced, Reply};
use std::fmt::Write;
use std::net::IpAddr;

/// Stands for an address in [`NormalizedReply::words`].
const ADDRESS: &str = "@";
/// Stands for an IP address in [`NormalizedReply::words`].
const IP: &str = "~ip";

/// A reply in the form that rules see.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct NormalizedReply {
    /// The reply's own code.
    pub(super) code: u16,
    /// The code of the innermost reply if a host quotes the reply of another one; otherwise the reply's own.
    pub(super) inner_code: u16,
    /// All enhanced codes, in their order in the text.
    pub(super) enhanced: Vec<Enhanced>,
    /// All lines as one text of lower-case words, one space between two.
    pub(super) words: String,
    /// Where each line begins in `words`, and whether it begins a sentence.
    starts: Vec<(usize, bool)>,
}

impl NormalizedReply {
    /// Normalizes a reply.
    pub(super) fn of(reply: &Reply) -> NormalizedReply {
        let mut normalized =
            NormalizedReply { code: reply.code, inner_code: reply.code, ..NormalizedReply::default() };
        let mut plain = String::new();
        let mut before = "";
        for line in &reply.lines {
            plain.clear();
            fold_into(&mut plain, line);
            if reply.lines.len() > 1 {
                normalized.starts.push((normalized.words.len(), begins_sentence(line, before)));
            }
            before = line;
            normalized.add_line(&plain);
        }
        normalized.drop_quoted_command();
        normalized
    }

    /// The most specific enhanced code: the innermost one that is not `x.y.0`, if possible of the reply's own class.
    pub(super) fn most_specific_enhanced(&self) -> Option<Enhanced> {
        let class = u8::try_from(self.inner_code / 100).unwrap_or(0);
        let of = |test: &dyn Fn(&&Enhanced) -> bool| self.enhanced.iter().rev().find(test).copied();
        of(&|code| code.class == class && code.detail != 0)
            .or_else(|| of(&|code| code.class == class))
            .or_else(|| of(&|code| code.detail != 0))
            .or_else(|| of(&|_| true))
    }

    /// The lines in the form of `words`, and whether each begins a sentence; none for a reply of one line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, bool)> {
        let ends = self.starts.iter().skip(1).map(|&(start, _)| start).chain([self.words.len()]);
        self.starts.iter().zip(ends).map(|(&(start, begins), end)| {
            (self.words.get(start..end.min(self.words.len())).unwrap_or("").trim(), begins)
        })
    }

    /// A reply with the same codes and other words.
    pub(super) fn with_words(&self, words: &str) -> NormalizedReply {
        NormalizedReply {
            words: words.to_owned(),
            starts: Vec::new(),
            enhanced: self.enhanced.clone(),
            ..*self
        }
    }

    /// True if both the reply and the innermost reply that it quotes call the failure permanent.
    pub(super) fn is_permanent(&self) -> bool {
        self.code >= 500 && self.inner_code >= 500
    }

    /// The words without phrases about other things than the mailbox: each match of the mask becomes a `;`, and a link is
    /// cut to its host.
    pub(super) fn words_about_mailbox(&self, mask: Option<&Pattern>) -> String {
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
            Some(mask) => mask.cut_from(words),
            None => words,
        }
    }

    fn add_line(&mut self, line: &str) {
        let mut code_may_come = true;
        let mut tokens = line.split_ascii_whitespace().peekable();
        while let Some(token) = tokens.next() {
            let next_is_enhanced = tokens.peek().is_some_and(|next| bare_enhanced(next).is_some());
            code_may_come = self.add_token(token, code_may_come || next_is_enhanced);
        }
    }

    /// Adds one token. True if the next one may be a reply code.
    fn add_token(&mut self, token: &str, code_may_come: bool) -> bool {
        if let Some(code) = bare_enhanced(token) {
            self.enhanced.push(code);
            return true;
        }
        // `550-5.1.1` and `550-Please` start a line of a reply, even if the lines were joined.
        let code = leading_code(token).filter(|(_, rest)| code_may_come || !rest.is_empty());
        if let Some((code, rest)) = code {
            self.inner_code = code;
            return rest.is_empty() || self.add_token(rest, true);
        }
        if let Ok(_ip) = token.trim_end_matches([':', ',', ';', '.']).parse::<IpAddr>() {
            self.push(IP);
            return false;
        }
        if let Some((before, after)) = around_address(token) {
            self.add_plain(before);
            self.push(ADDRESS);
            return self.add_rest(after);
        }
        let is_link = token.contains("://");
        let is_clock = token.bytes().all(|b| b.is_ascii_digit() || b == b':');
        if let Some(at) = token.find(['=', ':']).filter(|_| !is_link && !is_clock) {
            self.add_plain(&token[..at]);
            return self.add_rest(token[at..].trim_start_matches('='));
        }
        self.add_plain(token);
        false
    }

    /// Adds what follows an address or a word: its punctuation, then perhaps a quoted reply.
    fn add_rest(&mut self, rest: &str) -> bool {
        let word = rest.trim_start_matches([':', '.', ',', ';', '!', '?', '/']);
        let colon = rest[..rest.len() - word.len()].contains(':');
        if colon && !self.words.ends_with(':') {
            self.words.push(':');
        }
        if word.is_empty() { colon } else { self.add_token(word, colon) }
    }

    /// Adds a token without address or code. Hyphens and underscores separate words, except in host names and links.
    fn add_plain(&mut self, token: &str) {
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
        let (known, end) = (corrected(bare), &word[bare.len()..]);
        if word.bytes().all(|b| b.is_ascii_punctuation() && b != b'@') {
            return;
        }
        if !self.words.is_empty() {
            self.words.push(' ');
        }
        self.words.push_str(known);
        self.words.push_str(end);
    }

    /// Removes `in reply to ... command`, with which Postfix and others end a quoted reply: it is not the server's text.
    fn drop_quoted_command(&mut self) {
        if let Some(at) = self.words.rfind(" in reply to ")
            && self.words[at..].ends_with("command")
        {
            self.words.truncate(at);
        }
    }
}

/// The code and the words of a reply without everything that changes from recipient to recipient or from minute to minute:
/// addresses, the recipient's own name, host names, numbers, queue ids, dates. Two replies with equal comparable text say
/// the same.
pub(crate) fn comparable_text(reply: &Reply, recipient: &str) -> String {
    let mut own = String::new();
    fold_into(&mut own, recipient);
    let (local, domain) = own.rsplit_once('@').unwrap_or((&own, ""));
    let own_names: Vec<&str> = local.split(['-', '_', '.', '+']).chain([local, domain]).collect();
    let reply = NormalizedReply::of(reply);
    let mut text = reply.code.to_string();
    for code in &reply.enhanced {
        // Writing to a `String` can't fail.
        let _ = write!(text, " {code}");
    }
    for word in reply.words.split(' ') {
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

/// True if a line begins a sentence of its own: the line before it ended one, or it begins with a capital or an address.
fn begins_sentence(line: &str, before: &str) -> bool {
    let letters = |word: &&str| word.contains(['@']) || word.contains(char::is_alphabetic);
    let first = line.split_ascii_whitespace().find(letters).unwrap_or("@");
    let is_lower = first.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_lowercase);
    before.trim_end().ends_with(['.', '!', '?', ':', ';']) || first.contains('@') || !is_lower
}

fn bare_enhanced(token: &str) -> Option<Enhanced> {
    Enhanced::parse(token.trim_matches([':', ',', ';', '.', '-']))
}

/// A 4xx or 5xx code at the start of a token, and what follows it: `550`, `550-5.1.1`, `550:`.
fn leading_code(token: &str) -> Option<(u16, &str)> {
    let (digits, rest) = token.split_at_checked(3)?;
    let code: u16 = digits.parse().ok()?;
    let rest_is_apart = rest.is_empty() || rest.starts_with(['-', ':', ',', ';']);
    let is_number = rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    ((400..600).contains(&code) && rest_is_apart && !is_number)
        .then(|| (code, rest.trim_start_matches(['-', ':', ',', ';'])))
}

/// The text before and after an address in a token: `rcpt=a@example.com:550` gives `rcpt=` and `:550`.
fn around_address(token: &str) -> Option<(&str, &str)> {
    let at = token.find('@')?;
    let before = token[..at].rfind([':', ';', ',', '=', '/', '!']).map_or("", |cut| &token[..=cut]);
    let domain = &token[at + 1..];
    let end =
        domain.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(domain.len());
    let end = domain[..end].trim_end_matches(['.', '-', '_']).len();
    Some((before, &domain[end..]))
}

/// The right spelling of a word that servers misspell.
fn corrected(word: &str) -> &str {
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

/// Appends a text in lower case, without accents, brackets, quotes and apostrophes. An arrow becomes `because`, and a local part
/// in angle brackets becomes an address.
fn fold_into(out: &mut String, text: &str) {
    let mut rest = text.chars();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            'a'..='z' | '0'..='9' | ' ' => out.push(c),
            'A'..='Z' => out.push(c.to_ascii_lowercase()),
            '\'' | '’' | '`' | '´' | '‘' => {
                // Within a word it is an apostrophe, elsewhere a quote.
                let is_quote = !before.is_alphanumeric() || !rest.as_str().starts_with(char::is_alphanumeric);
                if is_quote {
                    out.push(' ');
                }
            }
            '→' => out.push_str(" because "),
            '-' if rest.as_str().starts_with('>') => {
                out.push_str(" because ");
                rest.next();
            }
            '<' => {
                out.push(' ');
                if let Some(after) = after_bare_local_part(rest.as_str()) {
                    out.push_str(ADDRESS);
                    rest = after.chars();
                }
            }
            '>' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '“' | '”' | '„' | '«' | '»' | '|' | '*' | '#'
            | '\\' | '\t' | '\u{a0}' | '…' | '–' | '—' | '（' | '）' | '【' | '】' | '「' | '」' =>
            {
                out.push(' ');
            }
            _ if c.is_ascii() => out.push(c),
            _ => c.to_lowercase().for_each(|c| push_without_accent(out, c)),
        }
        before = c;
    }
}

/// What follows a local part without domain, such as `jane>: unknown`; `None` if something else is in the brackets.
fn after_bare_local_part(text: &str) -> Option<&str> {
    let (local, _) = text.split_once('>')?;
    let is_local =
        local.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+".contains(&b)) && !local.is_empty();
    is_local.then(|| &text[local.len()..])
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
        // Combining marks, and the dot that is left when a Turkish capital becomes lower case.
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
    fn words_are_stripped_of_codes_and_decoration() {
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
            ("550 5.1.1 <jane>: user unknown", "@ user unknown"),
            ("550 'MAILBOX NOT FOUND'", "mailbox not found"),
            ("550 failed -> 550 5.1.1 unknown", "failed because unknown"),
        ] {
            assert_eq!(words(reply), expected, "{reply}");
        }
    }

    #[test]
    fn the_innermost_code_and_the_most_specific_enhanced_code_are_found() {
        let normalized = |text: &str| NormalizedReply::of(&Reply::parse(text.as_bytes()).unwrap());
        let wrapped = normalized("550 5.0.0 host said: 450 4.1.1 not now");
        assert_eq!((wrapped.code, wrapped.inner_code), (550, 450));
        assert!(!wrapped.is_permanent());
        for (reply, code) in [
            ("550 550 5.7.1 no", "5.7.1"),
            ("550 no (#5.1.1)", "5.1.1"),
            ("452 5.3.1 full", "5.3.1"),
            ("550 5.1.1 no, 5.0.0", "5.1.1"),
            ("550-5.2.1 a\n550 5.2.1 b", "5.2.1"),
        ] {
            assert_eq!(
                normalized(reply).most_specific_enhanced().map(|c| c.to_string()).as_deref(),
                Some(code),
                "{reply}"
            );
        }
    }

    #[test]
    fn rejections_of_two_recipients_have_the_same_comparable_text() {
        let text =
            |reply: &str, recipient| comparable_text(&Reply::parse(reply.as_bytes()).unwrap(), recipient);
        assert_eq!(
            text("550 5.1.1 <ann@example.com> ann unknown id 4Fx1 Mon, 01", "ann@example.com"),
            text("550 5.1.1 <bob@example.org> bob unknown id 9Zz2 Mon, 09", "bob@example.org"),
        );
        assert_ne!(text("550 5.1.1 no", "a@example.com"), text("550 5.7.1 no", "a@example.com"));
    }
}
