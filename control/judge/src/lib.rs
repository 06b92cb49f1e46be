//! Sequential statistics: windows in, evidence and verdicts out.
