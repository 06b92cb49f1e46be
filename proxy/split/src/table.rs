//! Weights as a lookup that can't fail, built once for each plan.

use serin_config::{Service, Split};

use crate::bucket::Bucket;

/// Upper bounds of the versions' intervals of buckets, rising to the whole. Versions of weight zero are not
/// in it. With two or three versions a scan is faster than any search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    bounds: Vec<(u32, usize)>,
    last: usize,
}

impl Table {
    /// The lookup for a split; values are positions in `service.versions`.
    pub fn new(service: &Service, split: &Split) -> Self {
        let mut bounds = Vec::with_capacity(2);
        let mut upper = 0;
        for (version, weight) in split.iter() {
            let at = service.versions.iter().position(|known| &known.name == version);
            upper += weight.ppm();
            if let (Some(at), 1..) = (at, weight.ppm()) {
                bounds.push((upper, at));
            }
        }
        // The bounds of a split sum to the whole, so whatever is not below an earlier bound is the last's.
        let last = bounds.pop().map_or(0, |(_, at)| at);
        Self { bounds, last }
    }

    /// The version whose interval holds the bucket, as a position in `service.versions`.
    pub fn version(&self, bucket: Bucket) -> usize {
        self.bounds.iter().find(|(upper, _)| bucket.ppm() < *upper).map_or(self.last, |(_, at)| *at)
    }

    /// The versions that have a share.
    pub fn versions(&self) -> impl Iterator<Item = usize> {
        self.bounds.iter().map(|(_, at)| *at).chain([self.last])
    }

    /// Whether every bucket leads to one version, so that no key need be looked at.
    pub fn single(&self) -> Option<usize> {
        self.bounds.is_empty().then_some(self.last)
    }
}
