//! Lists that the API tells page by page, as a command shows them: whole.
//!
//! A list is an object with its items under a name of their own and, under `next`, where the next page begins; beside
//! them stands what holds for the whole list, of which the last page knows best.

use serde_json::Value;

use super::{Api, Stop, output::dated};

impl Api {
    /// All pages of the list at this path as one: the last page, with the items of all under their name.
    pub(in crate::commands) async fn all(&self, path: &str, items: &str) -> Result<Value, Stop> {
        let mut all: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let asked = match &after {
                Some(after) => format!("{path}?after={after}"),
                None => path.to_owned(),
            };
            let answer = self.get(&asked).await?;
            let mut page = dated(answer.read()?, answer.stale_seconds);
            if let Some(Value::Array(some)) = page.get_mut(items) {
                all.append(some);
            }
            let next = page["next"].as_str().map(ToOwned::to_owned);
            // Each page begins behind the one before: so there is an end, whatever answers.
            if next.is_none() || next <= after {
                page[items] = all.into();
                return Ok(page);
            }
            after = next;
        }
    }
}
