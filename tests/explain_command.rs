//! The command `explain`: what it answers when there is nothing to explain.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use support::Folder;

#[test]
fn explain_without_a_text_or_with_a_missing_file_is_a_usage_error() {
    let lab = Folder::new();
    for empty in ["", " \n\n\t\n"] {
        lab.write("empty.eml", empty);
        lab.run(&["explain", "empty.eml"]).fails(2, &["nothing to explain"]);
    }
    for missing in ["missing.eml", "my bounces.mbox", "Mail of Monday.EML", "bounces/one.txt"] {
        lab.run(&["explain", missing]).fails(2, &["cannot read", missing]);
    }
    let reply = lab.run(&["explain", "550 5.1.1 no such user, see errors.txt"]);
    assert!(reply.exits(0).stdout().contains("mailbox_unknown"));
}
