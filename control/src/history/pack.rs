//! Windows as bytes: small, complete, and read back to the same counts.
//!
//! A rollout of an hour at a thousand requests a second has a few hundred occupied latency buckets each second. As
//! text that is some 4 KB, as written here some 500 bytes: every number is a LEB128 varint, a bucket is told by its distance
//! from the one before, and a name stands once in a chunk and is a number from then on.
//!
//! What is read may be damaged, so nothing that stands in it is trusted: neither lengths nor names.

use serin_config::{EventName, RouteName, Weight, wire::LatencyCounts};
use serin_judge::{Arm, Pair, Pairing, Trials, Window};

/// The form of the bytes, which is the first of them.
const FORM: u8 = 3;
/// The form before, without copies; a store may hold some of it yet.
const FORM_WITHOUT_COPIES: u8 = 2;
/// The form before that, without events that others counted.
const FORM_WITHOUT_TOLD: u8 = 1;

/// Why bytes are no windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk of stored windows is damaged at byte {at}")]
pub struct Damaged {
    /// Where.
    pub at: usize,
}

/// Windows, packed.
#[derive(Debug, Clone)]
pub struct Pack {
    bytes: Vec<u8>,
    names: Vec<String>,
    windows: usize,
}

impl Default for Pack {
    fn default() -> Self {
        Self { bytes: vec![FORM], names: Vec::new(), windows: 0 }
    }
}

impl Pack {
    /// Adds a window.
    pub fn push(&mut self, second: i64, window: &Window) {
        self.windows += 1;
        self.number(zigzag(second));
        self.number(window.share.map_or(0, |share| u64::from(share.ppm()) + 1));
        self.number(u64::from(window.copies));
        self.pairing(&window.control);
        self.number(window.routes.len() as u64);
        for (route, pairing) in &window.routes {
            self.name(route.as_str());
            self.pairing(pairing);
        }
        self.number(window.told.len() as u64);
        for (event, Pair { canary, stable }) in &window.told {
            self.name(event.as_str());
            for n in [canary.requests, canary.bad, stable.requests, stable.bad] {
                self.number(n);
            }
        }
    }

    /// How many windows there are.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// As bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn pairing(&mut self, pairing: &Pairing) {
        self.arm(&pairing.canary);
        self.arm(&pairing.stable);
    }

    fn arm(&mut self, arm: &Arm) {
        self.number(arm.judged);
        self.number(arm.failed);
        self.number(arm.charged);
        self.number(arm.clients.map_or(0, |clients| clients.saturating_add(1)));
        self.number(arm.headers.0.len() as u64);
        let mut before = 0;
        for (bucket, n) in &arm.headers.0 {
            self.number(u64::from(bucket.saturating_sub(before)));
            self.number(u64::from(*n));
            before = *bucket;
        }
        self.number(arm.events.len() as u64);
        for (event, n) in &arm.events {
            self.name(event.as_str());
            self.number(*n);
        }
    }

    /// A name's number; one that is new follows it.
    fn name(&mut self, name: &str) {
        match self.names.iter().position(|known| known == name) {
            Some(at) => self.number(at as u64),
            None => {
                self.number(self.names.len() as u64);
                self.number(name.len() as u64);
                self.bytes.extend_from_slice(name.as_bytes());
                self.names.push(name.to_owned());
            }
        }
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        self.bytes.push(value as u8);
    }
}

fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// Reads windows with their seconds.
pub fn unpack(bytes: &[u8]) -> Result<Vec<(i64, Window)>, Damaged> {
    let mut from = Unpack { bytes, at: 0, names: Vec::new(), told: true, copies: true };
    match from.byte()? {
        FORM => {}
        FORM_WITHOUT_COPIES => from.copies = false,
        FORM_WITHOUT_TOLD => (from.told, from.copies) = (false, false),
        _ => return Err(Damaged { at: 0 }),
    }
    let mut windows = Vec::new();
    while from.at < bytes.len() {
        windows.push(from.window()?);
    }
    Ok(windows)
}

struct Unpack<'a> {
    bytes: &'a [u8],
    at: usize,
    names: Vec<&'a str>,
    /// Whether windows have events that others counted.
    told: bool,
    /// Whether windows say if they are of copies.
    copies: bool,
}

impl<'a> Unpack<'a> {
    fn damaged(&self) -> Damaged {
        Damaged { at: self.at }
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.bytes.get(self.at).ok_or(self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.damaged());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        let number = self.number()?;
        T::try_from(number).map_err(|_| self.damaged())
    }

    fn name(&mut self) -> Result<&'a str, Damaged> {
        let number: usize = self.small()?;
        if let Some(name) = self.names.get(number) {
            return Ok(name);
        }
        let length: usize = self.small()?;
        let end = self.at.checked_add(length).filter(|_| number == self.names.len()).ok_or(self.damaged())?;
        let text = self.bytes.get(self.at..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let name = text.ok_or(self.damaged())?;
        self.at = end;
        self.names.push(name);
        Ok(name)
    }

    fn window(&mut self) -> Result<(i64, Window), Damaged> {
        let second = self.number()?;
        let second = (second >> 1).cast_signed() ^ -((second & 1).cast_signed());
        let share = match self.small::<u32>()? {
            0 => None,
            ppm => Some(Weight::from_ppm(ppm - 1).ok_or(self.damaged())?),
        };
        let copies = match if self.copies { self.number()? } else { 0 } {
            0 => false,
            1 => true,
            _ => return Err(self.damaged()),
        };
        let mut window = Window { control: self.pairing()?, share, copies, ..Window::default() };
        for _ in 0..self.number()? {
            let route = RouteName::try_new(self.name()?).map_err(|_| self.damaged())?;
            let pairing = self.pairing()?;
            window.routes.insert(route, pairing);
        }
        for _ in 0..if self.told { self.number()? } else { 0 } {
            let event = self.event()?;
            window.told.insert(event, Pair { canary: self.trials()?, stable: self.trials()? });
        }
        Ok((second, window))
    }

    fn event(&mut self) -> Result<EventName, Damaged> {
        EventName::try_new(self.name()?).map_err(|_| self.damaged())
    }

    fn trials(&mut self) -> Result<Trials, Damaged> {
        Ok(Trials { requests: self.number()?, bad: self.number()? })
    }

    fn pairing(&mut self) -> Result<Pairing, Damaged> {
        Ok(Pairing { canary: self.arm()?, stable: self.arm()? })
    }

    fn arm(&mut self) -> Result<Arm, Damaged> {
        let (judged, failed, charged) = (self.number()?, self.number()?, self.number()?);
        let clients = self.number()?.checked_sub(1);
        let mut headers = LatencyCounts::default();
        let mut bucket = 0_u16;
        for _ in 0..self.number()? {
            let step: u16 = self.small()?;
            bucket = bucket.checked_add(step).ok_or(self.damaged())?;
            let n = self.small()?;
            headers.0.push((bucket, n));
        }
        let mut events = Vec::new();
        for _ in 0..self.number()? {
            let event = self.event()?;
            events.push((event, self.number()?));
        }
        Ok(Arm { judged, failed, charged, clients, headers, events })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn any_arm() -> impl Strategy<Value = Arm> {
        let headers = vec((0_u16..900, 1_u32..), 0..20).prop_map(|mut counts| {
            counts.sort_unstable();
            counts.dedup_by_key(|(bucket, _)| *bucket);
            LatencyCounts(counts)
        });
        let events = vec((0_usize..3, any::<u64>()), 0..3).prop_map(|events| {
            let event = |i: usize| EventName::try_new(["paid", "left", "asked"][i]).unwrap();
            events.into_iter().map(|(i, n)| (event(i), n)).collect()
        });
        let counts = (any::<u64>(), any::<u64>(), any::<u64>(), option::of(0..u64::MAX - 1));
        (counts, headers, events).prop_map(|((judged, failed, charged, clients), headers, events)| Arm {
            judged,
            failed,
            charged,
            clients,
            headers,
            events,
        })
    }

    fn any_pairing() -> impl Strategy<Value = Pairing> {
        (any_arm(), any_arm()).prop_map(|(canary, stable)| Pairing { canary, stable })
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let routes = proptest::collection::btree_map(0_usize..4, any_pairing(), 0..4);
        let told = option::of(any::<[u64; 4]>());
        let parts = (routes, any_pairing(), option::of(0_u32..=1_000_000), told, any::<bool>());
        parts.prop_map(|(routes, control, share, told, copies)| Window {
            copies,
            routes: routes
                .into_iter()
                .map(|(i, pairing)| (RouteName::try_new(["a", "b", "cart", "d"][i]).unwrap(), pairing))
                .collect(),
            control,
            told: told
                .map(|[a, b, c, d]| {
                    let trials = |requests, bad| Trials { requests, bad };
                    let event = EventName::try_new("paid").unwrap();
                    (event, Pair { canary: trials(a, b), stable: trials(c, d) })
                })
                .into_iter()
                .collect(),
            share: share.and_then(Weight::from_ppm),
        })
    }

    proptest! {
        #[test]
        fn windows_read_back_as_they_were(windows in vec((any::<i64>(), any_window()), 0..10)) {
            let mut pack = Pack::default();
            windows.iter().for_each(|(second, window)| pack.push(*second, window));
            prop_assert_eq!(unpack(pack.bytes()).unwrap(), windows);
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_a_panic(windows in vec((any::<i64>(), any_window()), 1..4), at in any::<usize>(), value in any::<u8>(), cut in any::<usize>()) {
            let mut pack = Pack::default();
            windows.iter().for_each(|(second, window)| pack.push(*second, window));
            let mut bytes = pack.into_bytes();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(cut % (bytes.len() + 1));
            let _ = unpack(&bytes);
        }

        #[test]
        fn any_bytes_are_no_reason_to_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn chunks_of_the_forms_before_are_read_as_windows_without_what_they_did_not_have() {
        let pairing = Pairing { canary: Arm::counted(5, 1), stable: Arm::counted(90, 2) };
        let window = Window::of(&RouteName::try_new("shop").unwrap(), pairing);
        let mut pack = Pack::default();
        pack.push(7, &window);
        let mut bytes = pack.into_bytes();
        assert_eq!(bytes.pop(), Some(0), "a window ends with the number of its told events");
        assert_eq!(
            bytes.remove(3),
            0,
            "after its second and its share a window says whether it is of copies"
        );
        bytes[0] = FORM_WITHOUT_TOLD;
        assert_eq!(unpack(&bytes).unwrap(), [(7, window.clone())]);
        bytes[0] = FORM_WITHOUT_COPIES;
        bytes.push(0);
        assert_eq!(unpack(&bytes).unwrap(), [(7, window)]);
    }

    #[test]
    fn a_second_of_ordinary_traffic_is_some_hundred_bytes() {
        let arm = |n: u32| {
            let counts = (0..60).map(|i| (400 + i, n)).collect();
            Arm::counted(60 * u64::from(n), 0).with_headers(LatencyCounts(counts))
        };
        let pairing = Pairing { canary: arm(1), stable: arm(15) };
        let mut pack = Pack::default();
        for second in 0..100 {
            pack.push(second, &Window::of(&RouteName::try_new("shop").unwrap(), pairing.clone()));
        }
        assert!(pack.bytes().len() < 100 * 300, "{}", pack.bytes().len());
    }
}
