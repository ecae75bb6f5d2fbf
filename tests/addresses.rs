//! Hard addresses, section by section of the documents that decide about them. Each stands with what it is: the form in
//! which it goes over the wire, `=` where that is the text itself, or the word of its fault after a `!`.

use listproof::address::Address;

type Cases = &'static [(&'static str, &'static str)];

/// RFC 5321 4.1.2, Local-part: Dot-string of `atext`.
const DOT_STRINGS: Cases = &[
    ("a@example.com", "="),
    ("A@example.com", "="),
    ("1@example.com", "="),
    ("first.last@example.com", "="),
    ("a.b.c.d.e.f.g@example.com", "="),
    ("1234567890@example.com", "="),
    ("_______@example.com", "="),
    ("-@example.com", "="),
    ("--@example.com", "="),
    ("-a-@example.com", "="),
    ("+@example.com", "="),
    ("+1~1+@example.com", "="),
    ("user+mailbox@example.com", "="),
    ("customer/department=shipping@example.com", "="),
    ("$A12345@example.com", "="),
    ("!def!xyz%abc@example.com", "="),
    ("_somename@example.com", "="),
    ("user%host@example.com", "="),
    ("host!user@example.com", "="),
    ("a#b@example.com", "="),
    ("a'b@example.com", "="),
    ("a*b@example.com", "="),
    ("a/b@example.com", "="),
    ("a=b@example.com", "="),
    ("a?b@example.com", "="),
    ("a^b@example.com", "="),
    ("a`b@example.com", "="),
    ("a{b}c@example.com", "="),
    ("a|b@example.com", "="),
    ("a~b@example.com", "="),
    ("a&b@example.com", "="),
    ("{_test_}@example.com", "="),
    (".a@example.com", "!leading_dot"),
    ("a.@example.com", "!trailing_dot"),
    ("a..b@example.com", "!double_dot"),
    (".@example.com", "!leading_dot"),
    ("..@example.com", "!leading_dot"),
    ("@example.com", "!no_local_part"),
    ("a,b@example.com", "!local_character"),
    ("a;b@example.com", "!local_character"),
    ("a:b@example.com", "!local_character"),
    ("a[b@example.com", "!local_character"),
    ("a]b@example.com", "!local_character"),
    ("a\\b@example.com", "!local_character"),
    ("a b@example.com", "!white_space"),
    ("a\tb@example.com", "!control_character"),
    ("a\0b@example.com", "!control_character"),
    ("a\u{7f}b@example.com", "!control_character"),
    ("a\"b@example.com", "!misplaced_quote"),
    ("a>b@example.com", "!angle_bracket"),
];

/// RFC 3696 3 with its errata: 1690 says that what a backslash quotes stands within quotes only.
const RFC_3696: Cases = &[
    (r#""Abc@def"@example.com"#, "="),
    (r#""Fred Bloggs"@example.com"#, "="),
    (r#""Joe\\Blow"@example.com"#, "="),
    (r"Abc\@def@example.com", "!local_character"),
    (r"Fred\ Bloggs@example.com", "!local_character"),
    (r"Joe.\\Blow@example.com", "!local_character"),
    (r#""Abc\@def"@example.com"#, r#""Abc@def"@example.com"#),
    (r#""Fred\ Bloggs"@example.com"#, r#""Fred Bloggs"@example.com"#),
];

/// RFC 5321 4.1.2, Quoted-string. What needs no quotes goes without: "the simplest form" is to be sent.
const QUOTED_STRINGS: Cases = &[
    (r#""a"@example.com"#, "a@example.com"),
    (r#""a.b"@example.com"#, "a.b@example.com"),
    (r#""a..b"@example.com"#, "="),
    (r#"".a"@example.com"#, "="),
    (r#""a."@example.com"#, "="),
    (r#""."@example.com"#, "="),
    (r#"" "@example.com"#, "="),
    (r#""a b"@example.com"#, "="),
    (r#""@"@example.com"#, "="),
    (r#""a@b@c"@example.com"#, "="),
    (r#""<a>"@example.com"#, "="),
    (r#""(a)"@example.com"#, "="),
    (r#""a,b;c:d"@example.com"#, "="),
    (r#""[a]"@example.com"#, "="),
    (r#""a\"b"@example.com"#, "="),
    (r#""\"\""@example.com"#, "="),
    (r#""\\"@example.com"#, "="),
    (r#""\a\b\c"@example.com"#, "abc@example.com"),
    (r#""very.(),:;<>[]\".VERY.\"very@\\ \"very\".unusual"@example.com"#, "="),
    (r#""()<>[]:,;@\\\"!#$%&'-/=?^_`{}| ~.a"@example.com"#, "="),
    (r#""a@example.com"#, "!unclosed_quote"),
    (r#""a\"@example.com"#, "!unclosed_quote"),
    (r#"""@example.com"#, "="),
    (r#""a"b@example.com"#, "!misplaced_quote"),
    (r#"a"b"@example.com"#, "!misplaced_quote"),
    (r#""a""b"@example.com"#, "!misplaced_quote"),
    (r#""a".b@example.com"#, "!misplaced_quote"),
    (r#"a."b"@example.com"#, "!misplaced_quote"),
    (r#""a"."b"@example.com"#, "!misplaced_quote"),
    ("\"a\tb\"@example.com", "!control_character"),
    ("\"a\r\n b\"@example.com", "!control_character"),
    ("\"a\0b\"@example.com", "!control_character"),
    ("\"a\\\tb\"@example.com", "!bad_escape"),
    ("\"a\\\0b\"@example.com", "!bad_escape"),
];

/// RFC 5322 3.4.1 and 4.4 allow more than a RCPT can carry: comments, folding white space, obsolete forms.
const RFC_5322_ALONE: Cases = &[
    ("a(comment)@example.com", "!comment"),
    ("(comment)a@example.com", "!comment"),
    ("a@(comment)example.com", "!comment"),
    ("a@example.com(comment)", "!comment"),
    ("a @example.com", "!white_space"),
    ("a@ example.com", "!white_space"),
    (" a@example.com", "!white_space"),
    ("a@example.com ", "!white_space"),
    ("a . b@example.com", "!white_space"),
    ("a@example . com", "!white_space"),
    ("a\r\n b@example.com", "!control_character"),
    ("Jane <a@example.com>", "!white_space"),
    ("<a@example.com>", "!angle_bracket"),
    ("<@relay.example:a@example.com>", "!angle_bracket"),
];

/// RFC 5321 4.1.2, Domain, and RFC 1123 2.1: letters, digits and hyphens; the last label is no number.
const DOMAINS: Cases = &[
    ("a@b", "="),
    ("a@b.c", "="),
    ("a@1.com", "="),
    ("a@3com.example", "="),
    ("a@123.example.com", "="),
    ("a@a-b.example", "="),
    ("a@a--b.example", "="),
    ("a@EXAMPLE.com", "a@example.com"),
    ("a@example.c0m", "="),
    ("a@example.museum", "="),
    ("a@a.b.c.d.e.f.g.h.example", "="),
    ("a@", "!no_domain"),
    ("a", "!no_at"),
    ("example.com", "!no_at"),
    ("a@b@example.com", "!second_at"),
    ("a@@example.com", "!second_at"),
    ("a@.example.com", "!domain_leading_dot"),
    ("a@.", "!domain_leading_dot"),
    ("a@example.com.", "!domain_trailing_dot"),
    ("a@example..com", "!domain_double_dot"),
    ("a@-example.com", "!domain_hyphen"),
    ("a@example-.com", "!domain_hyphen"),
    ("a@example.-com", "!domain_hyphen"),
    ("a@example.com-", "!domain_hyphen"),
    ("a@-", "!domain_hyphen"),
    ("a@exam_ple.com", "!domain_character"),
    ("a@_dmarc.example.com", "!domain_character"),
    ("a@exam+ple.com", "!domain_character"),
    ("a@exam/ple.com", "!domain_character"),
    ("a@example.com:25", "!domain_character"),
    ("a@example,com", "!domain_character"),
    ("a@*.example.com", "!domain_character"),
    ("a@example.123", "!numeric_top_level"),
    ("a@123", "!numeric_top_level"),
    ("a@192.0.2.1", "!bare_ip"),
    ("a@exam\tple.com", "!control_character"),
    ("a@example.com\n", "!control_character"),
    ("a@example.com\r\nRCPT TO:<b@example.com>", "!control_character"),
    ("a@exam\"ple.com", "!domain_character"),
];

/// RFC 5321 4.1.3 with RFC 4291 2.2: address literals.
const LITERALS: Cases = &[
    ("a@[192.0.2.1]", "="),
    ("a@[0.0.0.0]", "="),
    ("a@[255.255.255.255]", "="),
    ("a@[IPv6:::]", "="),
    ("a@[IPv6:::1]", "="),
    ("a@[IPv6:2001:db8::]", "="),
    ("a@[IPv6:2001:db8::1]", "="),
    ("a@[IPv6:2001:DB8:0:0:8:800:200C:417A]", "a@[IPv6:2001:db8::8:800:200c:417a]"),
    ("a@[IPv6:1:2:3:4:5:6:7:8]", "="),
    ("a@[ipv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
    ("a@[IPv6:::ffff:192.0.2.128]", "="),
    ("a@[IPv6:1:2:3:4:5:6:192.0.2.1]", "a@[IPv6:1:2:3:4:5:6:c000:201]"),
    ("a@[192.0.2]", "!bad_literal"),
    ("a@[192.0.2.1.1]", "!bad_literal"),
    ("a@[192.0.2.256]", "!bad_literal"),
    ("a@[192.0.2.-1]", "!bad_literal"),
    ("a@[ 192.0.2.1 ]", "!bad_literal"),
    ("a@[0x7f.0.0.1]", "!bad_literal"),
    ("a@[]", "!bad_literal"),
    ("a@[IPv6:]", "!bad_literal"),
    ("a@[IPv6:1]", "!bad_literal"),
    ("a@[IPv6:1:2:3:4:5:6:7]", "!bad_literal"),
    ("a@[IPv6:1:2:3:4:5:6:7:8:9]", "!bad_literal"),
    ("a@[IPv6:1::2::3]", "!bad_literal"),
    ("a@[IPv6:1:2:3:4:5:6:7::]", "!bad_literal"),
    ("a@[IPv6:::2:3:4:5:6:7:8]", "!bad_literal"),
    ("a@[IPv6:12345::]", "!bad_literal"),
    ("a@[IPv6:g::1]", "!bad_literal"),
    ("a@[IPv6:192.0.2.1]", "!bad_literal"),
    ("a@[IPv6:1:2:3:4:5:6:7:192.0.2.1]", "!bad_literal"),
    ("a@[IPv6::::1]", "!bad_literal"),
    ("a@[IPv6:fe80::1%25eth0]", "!bad_literal"),
    ("a@[2001:db8::1]", "!bad_literal"),
    ("a@[IPv6 2001:db8::1]", "!unknown_literal_tag"),
    ("a@[192.0.2.1", "!unclosed_literal"),
    ("a@192.0.2.1]", "!domain_character"),
    ("a@[192.0.2.1].example", "!bad_literal"),
    ("a@[tag:content]", "!unknown_literal_tag"),
];

/// RFC 6531 3.3 with RFC 5890 to 5892 and UTS #46: letters beyond ASCII on both sides.
const INTERNATIONAL: Cases = &[
    ("jürgen@example.com", "="),
    ("用户@例子.example", "用户@xn--fsqu00a.example"),
    ("उपयोगकर्ता@उदाहरण.example", "उपयोगकर्ता@xn--p1b6ci4b4b3a.example"),
    ("юзер@пример.example", "юзер@xn--e1afmkfd.example"),
    ("χρήστης@παράδειγμα.example", "χρήστης@xn--hxajbheg2az3al.example"),
    ("a@müller.example", "a@xn--mller-kva.example"),
    ("a@MÜLLER.example", "a@xn--mller-kva.example"),
    ("a@XN--MLLER-KVA.example", "a@xn--mller-kva.example"),
    ("a@straße.example", "a@xn--strae-oqa.example"),
    ("\"jürgen m\"@example.com", "="),
    ("\u{1f600}@example.com", "="),
    ("a@xn--.example", "!domain_hyphen"),
    ("a@xn--a.example", "!punycode"),
    ("a@xn--example-.example", "!domain_hyphen"),
    ("a@m\u{200b}ller.example", "!invisible_character"),
    ("a\u{200b}@example.com", "!invisible_character"),
    ("a\u{feff}@example.com", "!invisible_character"),
    ("a\u{202e}@example.com", "!invisible_character"),
    ("a\u{a0}b@example.com", "!white_space"),
    ("a\u{3000}b@example.com", "!white_space"),
    ("a\u{85}b@example.com", "!control_character"),
    ("a\u{ff20}example.com", "!no_at"),
    ("a@example\u{ff0e}com", "!full_width"),
    ("\u{201c}a\u{201d}@example.com", "!typographic_quote"),
    ("a\u{fffd}b@example.com", "!undecodable"),
];

#[test]
fn hard_addresses_are_read_as_their_documents_say() {
    let sections = [DOT_STRINGS, RFC_3696, QUOTED_STRINGS, RFC_5322_ALONE, DOMAINS, LITERALS, INTERNATIONAL];
    let wrong: Vec<String> = sections
        .into_iter()
        .flatten()
        .filter_map(|&(text, expected)| {
            let read = match Address::parse(text) {
                Ok(address) if address.to_string() == text => "=".to_owned(),
                Ok(address) => address.to_string(),
                Err(fault) => format!("!{}", fault.kind.word()),
            };
            (read != expected).then(|| format!("{text:?} is {read}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// RFC 5321 4.5.3.1 and RFC 1035 2.3.4: 64 octets left of the @, 63 in a label, 254 in all, also where a letter has two.
#[test]
fn lengths_are_counted_in_octets_of_the_wire() {
    let read = |text: String| Address::parse(&text).map(|_| ()).map_err(|fault| fault.kind.word());
    let domain = |last: usize| format!("{0}.{0}.{0}.{1}", "d".repeat(60), "e".repeat(last));
    for (text, expected) in [
        (format!("{}@example.com", "a".repeat(64)), Ok(())),
        (format!("{}@example.com", "a".repeat(65)), Err("local_too_long")),
        (format!("{}@example.com", "ü".repeat(32)), Ok(())),
        (format!("{}@example.com", "ü".repeat(33)), Err("local_too_long")),
        (format!("\"{}\"@example.com", " ".repeat(62)), Ok(())),
        (format!("\"{}\"@example.com", " ".repeat(63)), Err("local_too_long")),
        (format!("a@{}.example", "b".repeat(63)), Ok(())),
        (format!("a@{}.example", "b".repeat(64)), Err("label_too_long")),
        (format!("{}@{}", "a".repeat(64), domain(6)), Ok(())),
        (format!("{}@{}", "a".repeat(64), domain(7)), Err("too_long")),
        (format!("a@{}", domain(63)), Ok(())),
    ] {
        assert_eq!(read(text.clone()), expected, "{text}");
    }
}
