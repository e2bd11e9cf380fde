//! SMTP and LMTP syntax and both session engines, without I/O.
