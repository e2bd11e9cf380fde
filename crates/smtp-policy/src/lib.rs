//! May this client, sender, recipient pass? Facts in, verdicts out.
