//! What a file must have, and may not have, for the command that reads it.
//!
//! A section that has no meaning for a command is a problem, not a comment: whoever wrote it expects it to work.

use crate::{
    problem::{Place, Problems, Reported},
    raw::{self, decode::Field},
    settings::Purpose,
};

/// The command that a file is for, as its sections tell.
pub(super) fn of(file: &raw::File) -> Purpose {
    let control = file.control.given().map(|control| &control.value);
    let (fleet, connect) = control.map_or((false, false), |control| {
        (!matches!(control.fleet, Field::Absent), !matches!(control.connect, Field::Absent))
    });
    match (connect, fleet, &file.listeners) {
        (true, ..) => Purpose::Proxy,
        (false, true, Field::Absent) => Purpose::Control,
        _ => Purpose::Run,
    }
}

/// Reports every section that has no meaning in this purpose, and the one that it can't be without.
pub(super) fn check(
    file: &raw::File,
    purpose: Purpose,
    top: &Place,
    problems: &mut Problems,
) -> Result<(), Reported> {
    let control = file.control.given();
    let mut fault = Ok(());
    if purpose == Purpose::Proxy {
        let here = [("routes", place(&file.routes)), ("services", place(&file.services))];
        for (section, place) in here {
            if let Some(place) = place {
                let wrong = format!("the {section} of a proxy come from its control plane");
                let right = "write them in the file of serin control, and leave them out here";
                fault = Err(problems.add(place, wrong, right));
            }
        }
        let connect = control.map(|control| &control.value.connect);
        if !matches!(connect, Some(Field::Given(_) | Field::Wrong(_)))
            && !matches!(file.control, Field::Wrong(_))
        {
            let right = "write \"control: { connect: { endpoints: [10.0.0.5:9903] } }\", or start serin run";
            let place = control.map_or(top, |control| &control.place);
            fault = Err(problems.add(place, "a proxy needs to know where its control plane is", right));
        }
    }
    let Some(control) = control.map(|control| &control.value) else { return fault };
    let fields = [
        ("address", place(&control.address)),
        ("danger_beyond_loopback", place(&control.danger_beyond_loopback)),
        ("state", place(&control.state)),
        ("token", place(&control.token)),
        ("fleet", place(&control.fleet)),
    ];
    if purpose == Purpose::Proxy {
        for (field, place) in fields {
            if let Some(place) = place {
                let wrong =
                    format!("a proxy has no control plane of its own to which \"{field}\" could apply");
                let right = "leave it out; what is for the stream to the control plane stands in connect";
                fault = Err(problems.add(place, wrong, right));
            }
        }
    } else if let Some(place) = place(&control.connect) {
        let wrong = "whoever decides by itself has no other control plane to connect to";
        fault = Err(problems.add(place, wrong, "leave it out, or start serin proxy with this file"));
    }
    fault
}

fn place<T>(field: &Field<T>) -> Option<&Place> {
    field.given().map(|given| &given.place)
}
