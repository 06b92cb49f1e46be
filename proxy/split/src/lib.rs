//! Data-plane decisions: match, bucket, pick, classify, tally.
