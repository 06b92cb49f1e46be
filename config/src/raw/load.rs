//! The files of the load generator, as they are written.

use super::{
    decode::{List, Named},
    record::record,
};

record! {
    /// What a load asks: requests, of which each one sent is drawn by its weight, and the users they come from.
    pub struct Mix {
        /// The requests; at least one.
        required @ requests: List<Ask>,
        /// Users that a sticky split keeps to their version. Default: requests are from nobody.
        @ users: Users,
    }

    /// One kind of request.
    pub struct Ask {
        /// What it is called in reports. Default: its method and path.
        @ name: String,
        /// GET, POST or another. Default: GET.
        @ method: String,
        /// Its path, with its query, such as "/items?page=2". Default: "/".
        @ path: String,
        /// Its header fields.
        @ headers: Named<String, String>,
        /// Its body, as text.
        @ body: String,
        /// Its body, as the content of a file; a relative path belongs to the directory of this file.
        @ body_file: String,
        /// How often it is drawn, compared to the others. Default: 1.
        @ weight: u64,
    }

    /// Users, each as likely as the other.
    pub struct Users {
        /// How many.
        required @ count: u64,
        /// The cookie that says which one a request is from ("user-17"). Either this or header.
        @ cookie: String,
        /// The header that says it.
        @ header: String,
    }
}
