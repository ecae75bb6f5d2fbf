//! What an SMTP reply, a log line or a bounce means, in plain words.
