//! For tests only: transcripts, scripted peers, certificates.
