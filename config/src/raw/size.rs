//! Numbers of bytes.

use serde_json::{Value, json};

use super::decode::{Fault, Leaf};
use crate::problem::shown;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl Leaf for ByteSize {
    const EXPECTED: &'static str = "a size such as 64KiB";
    fn read(text: &str) -> Result<Self, Fault> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let bytes = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            _ => 0,
        };
        let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
        total.filter(|_| bytes > 0).map(Self).ok_or_else(|| {
            let right = "write a whole number and a unit (B, KiB, MiB), such as 64KiB";
            Fault::new(format!("\"{}\" is not a size", shown(text)), right)
        })
    }
    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB)$", "examples": ["64KiB"] })
    }
}
