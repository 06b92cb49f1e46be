//! What one operation of the API is: where it is, who may ask for it, what goes in and what comes out.
//!
//! The router, the check of roles and the OpenAPI document are made from the same list ([`super::routes`]), so that no
//! operation can be without a role, and none can be missing in the document.

use axum::routing::MethodRouter;
use http::Method;
use serde_json::Value;
use serin_config::Role;

use super::Context;

/// Which services an operation is about, and so who may ask for it with a grant that is limited to some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The one in the path.
    Service,
    /// Those of the group in the path, all of them.
    Group,
    /// All of them, but its answer leaves out those that are not the caller's.
    Filtered,
    /// All of them, whole: not for callers who are limited to some.
    Whole,
    /// None.
    Open,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As long as one request may.
    Prompt,
    /// It waits for something to happen.
    Waits,
}

/// Which of several control planes can give the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// Each, from what is stored.
    Any,
    /// The one that leads: it has what is counted, asked and connected just now.
    Leader,
}

/// A parameter in the query or a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) about: &'static str,
    pub(super) schema: fn() -> Value,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Query,
    Header,
}

/// A form of answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) media: &'static str,
    pub(super) schema: fn() -> Value,
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Its name in the OpenAPI document, and in the audit log where a request does not come to a command.
    pub(super) id: &'static str,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// The least role that may ask for it.
    pub(super) role: Role,
    pub(super) reach: Reach,
    pub(super) pace: Pace,
    pub(super) knows: Knows,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<fn() -> Value>,
    /// The status of success, what it means, and its forms.
    pub(super) success: (u16, &'static str, &'static [Form]),
    /// What else it may answer, beside what every operation may.
    pub(super) problems: &'static [u16],
}

impl Operation {
    /// Whether it changes nothing.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET
    }
}

/// An operation and who carries it out.
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) handler: MethodRouter<Context>,
}

/// All operations, to be found by what a request matched.
#[derive(Debug)]
pub(super) struct Operations(Vec<Operation>);

impl Operations {
    pub(super) fn of(routes: &[Route]) -> Self {
        Self(routes.iter().map(|route| route.operation.clone()).collect())
    }

    /// The operation of this method at this path of the router.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|operation| operation.method == *method && operation.path == path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter()
    }
}
