//! What operators talk to: the admin listener and the control plane.

use std::net::SocketAddr;

use super::{Surroundings, secret, section};
use crate::{
    address::Address,
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, Spanned},
        leaf::SecretSource,
    },
    secret::Secret,
    settings::{ADMIN_ADDRESS_DEFAULT, Admin, CONTROL_ADDRESS_DEFAULT, Control, STATE_DEFAULT},
};

/// The admin listener.
pub(super) fn check_admin(field: Field<raw::Admin>, problems: &mut Problems) -> Result<Admin, Reported> {
    let raw = section(field)?;
    let danger = raw.danger_beyond_loopback;
    Ok(Admin { address: local(raw.address, danger, ADMIN_ADDRESS_DEFAULT, problems)? })
}

/// The control plane.
pub(super) fn check_control(
    field: Field<raw::Control>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Control, Reported> {
    let raw = section(field)?;
    let given = raw.address.given().map(|address| address.place.clone());
    let address = local(raw.address, raw.danger_beyond_loopback, CONTROL_ADDRESS_DEFAULT, problems);
    let state = match raw.state.optional() {
        Ok(Some(given)) if given.value.is_empty() => {
            let right = format!("write the path of a file, such as {STATE_DEFAULT}");
            Err(problems.add(&given.place, "the path of the state is empty", right))
        }
        Ok(given) => {
            Ok(around.base_dir.join(given.map_or_else(|| STATE_DEFAULT.into(), |state| state.value)))
        }
        Err(reported) => Err(reported),
    };
    let token = match raw.token.optional() {
        Ok(Some(source)) => token(&source, around, problems).map(Some),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let (address, token) = (address?, token?);
    // Whoever reaches this API moves traffic; the danger that was named is reading along, not that.
    if let (false, None, Some(place)) = (address.is_local(), &token, given) {
        let right = "add token: \"${NAME}\" or token: \"${file:PATH}\"";
        return Err(problems.add(&place, "an API beyond this machine needs a bearer token", right));
    }
    Ok(Control { address, state: state?, token })
}

/// An address that only this machine reaches, unless the danger is asked for by name.
fn local(
    field: Field<Address>,
    danger: Field<bool>,
    default: SocketAddr,
    problems: &mut Problems,
) -> Result<Address, Reported> {
    let danger = danger.or(false);
    let Some(given) = field.optional()? else { return danger.map(|_| Address::Tcp(default)) };
    if danger? || given.value.is_local() {
        return Ok(given.value);
    }
    let right = "write an address in 127.0.0.0/8, [::1] or unix:/path, or set danger_beyond_loopback: true";
    Err(problems.add(&given.place, format!("{} can be reached from other machines", given.value), right))
}

/// A bearer token; no message shows it.
fn token(
    source: &Spanned<SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Secret, Reported> {
    let place = &source.place;
    let (text, whence) = secret::text(source, around, problems)?;
    if text.is_empty() {
        return Err(problems.add(place, format!("{whence} is empty"), "put the token there"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        let wrong = format!("{whence} does not hold a bearer token");
        return Err(problems.add(place, wrong, "use visible ASCII characters without spaces, on one line"));
    }
    Ok(Secret::new(text))
}
