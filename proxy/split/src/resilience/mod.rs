//! What is done when a version fails, hangs or has too much to do: decisions as data.
//!
//! [`retry`] says whether a failed attempt is made again, and when; [`tripwire`] when a canary must be taken
//! out, and [`added`] how much time it has cost; [`gradient`] how many requests a version takes before they only wait for each other; [`inject`] which
//! requests an injected fault hits; [`memory`] when there is too little of it to take more. The shell carries
//! out what they say: it owns the counters, the clock and the dice.

pub mod added;
pub mod gradient;
pub mod inject;
pub mod memory;
pub mod retry;
pub mod tripwire;
