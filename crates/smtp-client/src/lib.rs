//! One host, one connection, transactions over it.
