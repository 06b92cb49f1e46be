//! Where the endpoints of a version are found, if not in the configuration: by a name ([`dns`]) or in a file
//! ([`file`]). What was found last stays in use for as long as nothing better is found.

pub(crate) mod dns;
pub(crate) mod file;
