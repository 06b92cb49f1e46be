//! What a window says of the two versions that are compared, besides how their attempts ended: whose attempts failed,
//! the negative control, business events. And the other way round, on what terms workers count all that.

use serin_config::{
    EventName, Plan, Service, ServiceName, Split, Sticky, Weight,
    wire::{Slice, WindowCell},
};
use serin_split::{
    control::Control,
    tally::{Extra, Part},
};

use super::{Cell, clients::Clients, hangs::Hangs};
use crate::shared::Shared;

/// One endpoint of so many is in the control of a version that has no canary beside it.
const CONTROL_PART: usize = 10;

/// What is remembered from window to window.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    clients: Clients,
    hangs: Hangs,
}

/// What one cell of a worker adds to a window.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    clients: Option<u64>,
    control: Option<Box<Slice>>,
    events: Vec<(EventName, u64)>,
}

impl Compared {
    /// Looks at what a worker handed over.
    pub(crate) fn look(&mut self, plan: &Plan, shared: &Shared, cell: &Cell) -> Besides {
        let Some((service, split)) = pair(plan, &cell.service) else {
            return Besides { control: slice_of(plan, shared, cell), ..Besides::default() };
        };
        let is_stable = cell.version == service.stable;
        if !is_stable && service.canary.as_ref() != Some(&cell.version) {
            return Besides::default();
        }
        if is_stable {
            self.hangs.note(&service.name, &cell.drained.judged.headers.to_wire());
        }
        let nothing = Extra::default();
        let extra = cell.drained.extra.as_deref().unwrap_or(&nothing);
        let clients = (service.sticky != Sticky::Random)
            .then(|| self.clients.count((&cell.service, &cell.version), split, &extra.erring));
        Besides { clients, control: slice_of(plan, shared, cell), events: extra.events.clone() }
    }

    /// Lets workers know how to count in the next window.
    pub(crate) fn set_terms(&mut self, plan: &Plan, shared: &Shared) {
        for service in plan.catalogue().services() {
            let hang = pair(plan, &service.name).map(|_| self.hangs.after(&service.name));
            let control = control_of(service, shared);
            for version in &service.versions {
                let Some(state) = shared.known(&service.name, &version.name) else { continue };
                let is_stable = version.name == service.stable;
                let has_part = is_stable || service.canary.as_ref() == Some(&version.name);
                let control = if is_stable { control } else { Control::Off };
                state.terms.set(hang.filter(|_| has_part), control);
            }
        }
        let is_compared = |service: &ServiceName| pair(plan, service).is_some();
        self.hangs.retain(is_compared);
        self.clients.retain(is_compared);
    }
}

impl Besides {
    /// Adds it to the window's cell.
    pub(crate) fn add_to(self, cell: &mut WindowCell) {
        if let Some(clients) = self.clients {
            cell.clients = Some(cell.clients.unwrap_or(0).saturating_add(clients));
        }
        if let Some(slice) = self.control {
            match &mut cell.control {
                Some(whole) => {
                    whole.outcomes.merge(&slice.outcomes);
                    whole.headers.merge(&slice.headers);
                }
                none => *none = Some(slice),
            }
        }
        for (event, count) in self.events {
            match cell.events.iter_mut().find(|(name, _)| *name == event) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => cell.events.push((event, count)),
            }
        }
    }
}

/// The control of a service's stable version: as many endpoints as its canary has, whether that has weight or not. So what
/// the slice shows is known before a rollout begins. Without a canary it is a tenth.
fn control_of(service: &Service, shared: &Shared) -> Control {
    let count = |version| Some(shared.known(&service.name, version)?.endpoints.count());
    let Some(stable) = count(&service.stable) else { return Control::Off };
    let canary = service.canary.as_ref().and_then(count).filter(|count| *count > 0);
    Control::beside(stable, canary.unwrap_or(stable / CONTROL_PART))
}

/// The slice in a cell of a stable version.
fn slice_of(plan: &Plan, shared: &Shared, cell: &Cell) -> Option<Box<Slice>> {
    let service = plan.catalogue().service(cell.service.as_str())?;
    let state = shared.known(&service.name, &service.stable).filter(|_| cell.version == service.stable)?;
    if state.terms.control() == Control::Off {
        return None;
    }
    let part = cell.drained.extra.as_deref().map(|extra| &extra.control);
    let slice = |part: &Part| Slice { outcomes: part.outcomes, headers: part.headers.to_wire() };
    Some(Box::new(part.map(slice).unwrap_or_default()))
}

/// A service whose canary and stable version both have weight.
fn pair<'p>(plan: &'p Plan, service: &ServiceName) -> Option<(&'p Service, &'p Split)> {
    let service = plan.catalogue().service(service.as_str())?;
    let split = plan.split(service.name.as_str())?;
    let versions = [service.canary.as_ref()?, &service.stable];
    versions.iter().all(|version| split.of(version) > Weight::ZERO).then_some((service, split))
}

#[cfg(test)]
#[path = "compared_tests.rs"]
mod tests;
