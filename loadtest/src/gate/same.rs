//! Whether two records are of the same load: what was asked in different ways can't be compared.

use crate::report::Record;

/// How two records differ before anything was measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the records are of different loads: {what} is {baseline} in the baseline and {candidate} in the candidate"
)]
pub struct Different {
    what: &'static str,
    baseline: String,
    candidate: String,
}

pub(super) fn check(baseline: &Record, candidate: &Record) -> Result<(), Different> {
    let (before, now) = (&baseline.facts, &candidate.facts);
    let facts = [
        ("the pace", before.pace.clone(), now.pace.clone()),
        ("the protocol", before.protocol.clone(), now.protocol.clone()),
        ("the number of connections", before.connections.to_string(), now.connections.to_string()),
    ];
    for (what, baseline, candidate) in facts {
        if baseline != candidate {
            return Err(Different { what, baseline, candidate });
        }
    }
    Ok(())
}
