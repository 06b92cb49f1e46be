//! All operations of the API: what they are, the role that each takes, and who carries it out.

use axum::routing::{delete, get, post, put};
use http::Method;
use serin_config::Role;

use super::{
    audit, events, export, freezes, groups, openapi,
    operation::{Form, Knows, Operation, Pace, Parameter, Place, Reach, Route},
    proxies, read, rollouts, schema, tokens, verdict, watch, write,
};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";

const fn query(name: &'static str, about: &'static str, schema: fn() -> serde_json::Value) -> Parameter {
    Parameter { name, place: Place::Query, about, schema }
}

const fn header(name: &'static str, about: &'static str, schema: fn() -> serde_json::Value) -> Parameter {
    Parameter { name, place: Place::Header, about, schema }
}

const OF_SERVICE: Parameter = query("service", "Only what concerns this service.", schema::text);
const ENTRIES: Parameter = query("limit", "Entries in the answer. Default: 100.", schema::entries_limit);
const BEFORE: Parameter =
    query("before", "Only entries before this sequence: `next` of the last page.", schema::number);
const CHANGES: &[Parameter] = &[
    header(
        "idempotency-key",
        "Chosen by the client: sent again with the same key, the same change is not done again.",
        schema::idempotency_key,
    ),
    header("if-match", "The plan on which the choice rests, as if_generation in the body.", schema::if_match),
];
const PROXIES: &[Parameter] = &[
    query("limit", "Proxies in the answer. Default: 100.", schema::entries_limit),
    query("after", "Only proxies whose names come after this one: `next` of the last page.", schema::text),
];
const RESUMES: &[Parameter] = &[header(
    "last-event-id",
    "The id of the last event that arrived; the stream goes on behind it.",
    schema::number,
)];

/// What most operations are: a read by anybody who may read the service, answered at once.
fn read(id: &'static str, path: &'static str, about: &'static str, success: &'static [Form]) -> Operation {
    Operation {
        id,
        method: Method::GET,
        path,
        role: Role::Viewer,
        reach: Reach::Service,
        pace: Pace::Prompt,
        knows: Knows::Any,
        about,
        parameters: &[],
        body: None,
        success: (200, "As asked for.", success),
        problems: &[404],
    }
}

/// A change, by those who may change the service.
fn change(
    id: &'static str,
    method: Method,
    path: &'static str,
    about: &'static str,
    body: fn() -> serde_json::Value,
) -> Operation {
    Operation {
        method,
        role: Role::Operator,
        parameters: CHANGES,
        body: Some(body),
        success: (200, "Done and stored.", APPLIED),
        problems: &[404, 409, 413, 415, 422],
        ..read(id, path, about, &[])
    }
}

const APPLIED: &[Form] = &[Form { media: JSON, schema: schema::applied }];

/// The list.
#[expect(clippy::too_many_lines, reason = "one list, to be read as one")]
pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    let mut add = |operation, handler| routes.push(Route { operation, handler });
    add(
        Operation {
            reach: Reach::Filtered,
            problems: &[],
            ..read("plan", "/v1/plan", "The plan in force.", &[Form { media: JSON, schema: schema::plan }])
        },
        get(read::plan),
    );
    add(
        Operation {
            reach: Reach::Filtered,
            problems: &[],
            parameters: const {
                &[
                    query("limit", "Services in the answer. Default: 1000.", schema::services_limit),
                    query("after", "Only services behind this name: `next` of the last page.", schema::text),
                ]
            },
            knows: Knows::Leader,
            ..read(
                "services",
                "/v1/services",
                "All services with their weights, recent counts and rollouts, by name.",
                &[Form { media: JSON, schema: schema::service_page }],
            )
        },
        get(read::services),
    );
    add(
        Operation {
            knows: Knows::Leader,
            ..read(
                "service",
                "/v1/services/{service}",
                "One service, with its last two minutes, second by second.",
                &[Form { media: JSON, schema: schema::service }],
            )
        },
        get(read::service),
    );
    add(
        read(
            "weights",
            "/v1/services/{service}/weights",
            "The split, with its plan as an entity tag.",
            &[Form { media: JSON, schema: schema::split }],
        ),
        get(read::split),
    );
    add(
        Operation {
            problems: &[404, 409, 413, 415, 422, 428],
            ..change(
                "set_weights",
                Method::PUT,
                "/v1/services/{service}/weights",
                "Sets the split by hand. if_generation or if-match must be given.",
                schema::set_weights,
            )
        },
        put(write::set_weights),
    );
    add(
        Operation {
            knows: Knows::Leader,
            ..read(
                "rollout",
                "/v1/services/{service}/rollout",
                "The rollout in progress or the last one, with its verdict.",
                &[Form { media: JSON, schema: schema::rollout }],
            )
        },
        get(read::rollout),
    );
    add(
        change(
            "steer_rollout",
            Method::POST,
            "/v1/services/{service}/rollout",
            "Starts or steers a rollout.",
            schema::steer,
        ),
        post(write::steer),
    );
    add(
        Operation {
            // What is counted is no decision: it rests on no plan, and is not kept by a key.
            parameters: &[],
            success: (
                202,
                "Taken, to be judged with the next second of the rollout; `rollout` is null where none is in progress.",
                &[Form { media: JSON, schema: schema::events_taken }],
            ),
            problems: &[404, 413, 415, 422],
            ..change(
                "tell_events",
                Method::POST,
                "/v1/services/{service}/events",
                "Tells how often a business event came that proxies can't see, of both versions over the same time.",
                schema::events,
            )
        },
        post(events::tell),
    );
    add(
        Operation {
            knows: Knows::Leader,
            ..read(
                "explain",
                "/v1/services/{service}/rollout/explain",
                "The rollout in words; as JSON where the client accepts application/json.",
                &[
                    Form { media: TEXT, schema: schema::text },
                    Form { media: JSON, schema: schema::explanation },
                ],
            )
        },
        get(read::explain),
    );
    add(
        Operation {
            pace: Pace::Waits,
            parameters: const {
                &[
                    query(
                        "wait",
                        "How long the answer may wait for what `until` says; at most 300s. Default: not at all.",
                        schema::duration,
                    ),
                    query(
                        "until",
                        "decided: the canary passes or fails its step; ended: the rollout is over; changed: anything is new.",
                        schema::until,
                    ),
                ]
            },
            knows: Knows::Leader,
            ..read(
                "verdict",
                "/v1/services/{service}/verdict",
                "What the judge says of the canary, with evidence and reasons: a gate for pipelines.",
                &[Form { media: JSON, schema: schema::verdict }],
            )
        },
        get(verdict::verdict),
    );
    add(
        Operation {
            pace: Pace::Waits,
            parameters: RESUMES,
            knows: Knows::Leader,
            ..read(
                "watch_service",
                "/v1/services/{service}/watch",
                "Decisions on the service and its status, as they come.",
                &[Form { media: EVENTS, schema: schema::text }],
            )
        },
        get(watch::of_service),
    );
    add(
        read(
            "windows_of_service",
            "/v1/services/{service}/rollouts/{id}/windows",
            "The counts that a rollout was judged by, second by second, as lines that `serin judge` reads.",
            &[Form { media: LINES, schema: schema::text }],
        ),
        get(export::of_service),
    );
    add(
        Operation {
            reach: Reach::Filtered,
            parameters: const {
                &[
                    OF_SERVICE,
                    ENTRIES,
                    query(
                        "before",
                        "Only rollouts below this number: `next` of the last page.",
                        schema::number,
                    ),
                ]
            },
            ..read(
                "rollouts",
                "/v1/rollouts",
                "The rollouts that are known, in progress and ended, the newest first.",
                &[Form { media: JSON, schema: schema::rollout_page }],
            )
        },
        get(rollouts::list),
    );
    add(
        Operation {
            reach: Reach::Whole,
            ..read(
                "windows",
                "/v1/rollouts/{id}/windows",
                "The same, of a rollout of any service.",
                &[Form { media: LINES, schema: schema::text }],
            )
        },
        get(export::of_any),
    );
    add(
        Operation {
            reach: Reach::Filtered,
            problems: &[],
            parameters: const { &[OF_SERVICE, ENTRIES, BEFORE] },
            ..read(
                "journal",
                "/v1/journal",
                "The decisions, newest first. As lines, where the client accepts application/x-ndjson; without limit and \
                 before, all of them, the oldest first.",
                &[
                    Form { media: JSON, schema: schema::journal_page },
                    Form { media: LINES, schema: schema::text },
                ],
            )
        },
        get(read::journal),
    );
    add(
        Operation {
            reach: Reach::Filtered,
            pace: Pace::Waits,
            problems: &[],
            parameters: RESUMES,
            knows: Knows::Leader,
            ..read(
                "watch",
                "/v1/watch",
                "Decisions and the status of all services, as they come.",
                &[Form { media: EVENTS, schema: schema::text }],
            )
        },
        get(watch::all),
    );
    add(
        Operation {
            reach: Reach::Filtered,
            problems: &[],
            knows: Knows::Leader,
            ..read(
                "groups",
                "/v1/groups",
                "The groups of services that are rolled out together, in the order of the file.",
                &[Form { media: JSON, schema: schema::group_list }],
            )
        },
        get(groups::list),
    );
    add(
        Operation {
            reach: Reach::Group,
            knows: Knows::Leader,
            ..read(
                "group_rollout",
                "/v1/groups/{group}/rollout",
                "How far the services of a group are, and which of them holds the others back.",
                &[Form { media: JSON, schema: schema::group }],
            )
        },
        get(groups::rollout),
    );
    add(
        Operation {
            reach: Reach::Group,
            success: (200, "Done and stored.", &[Form { media: JSON, schema: schema::applied_to_group }]),
            ..change(
                "steer_group",
                Method::POST,
                "/v1/groups/{group}/rollout",
                "Starts or steers the rollouts of all services of a group, in one plan.",
                schema::steer,
            )
        },
        post(groups::steer),
    );
    add(
        Operation {
            reach: Reach::Whole,
            problems: &[],
            ..read(
                "freezes",
                "/v1/freezes",
                "The freezes of the file's calendar and those by hand, and which are in force.",
                &[Form { media: JSON, schema: schema::freeze_list }],
            )
        },
        get(freezes::list),
    );
    add(
        Operation {
            reach: Reach::Whole,
            success: (
                201,
                "In force and stored: no version but the stable one gets more traffic.",
                &[Form { media: JSON, schema: schema::made_freeze }],
            ),
            ..change("freeze", Method::POST, "/v1/freezes", "Freezes services by hand.", schema::new_freeze)
        },
        post(freezes::freeze),
    );
    add(
        Operation {
            reach: Reach::Whole,
            success: (204, "The freeze holds nothing any more.", &[]),
            problems: &[404, 409, 413],
            ..change(
                "thaw",
                Method::DELETE,
                "/v1/freezes/{id}",
                "Lifts a freeze that was made by hand.",
                schema::delete_freeze,
            )
        },
        delete(freezes::thaw),
    );
    add(
        Operation {
            role: Role::Admin,
            reach: Reach::Whole,
            problems: &[],
            parameters: const {
                &[
                    ENTRIES,
                    BEFORE,
                    query("service", "Only what was asked for this service, or for its group.", schema::text),
                    query("who", "Only what this token or certificate asked for.", schema::text),
                    query("what", "Only what was asked for by this word, such as start.", schema::what),
                    query("fate", "Only what ended so.", schema::fate),
                ]
            },
            ..read(
                "audit",
                "/v1/audit",
                "Who asked for which change, and what became of it, newest first. As lines, where the client accepts \
                 application/x-ndjson; without limit and before, all of them, the oldest first.",
                &[
                    Form { media: JSON, schema: schema::audit_page },
                    Form { media: LINES, schema: schema::text },
                ],
            )
        },
        get(audit::audit),
    );
    add(
        Operation {
            role: Role::Admin,
            reach: Reach::Whole,
            parameters: const {
                &[
                    ENTRIES,
                    query("after", "Only tokens behind this one: `next` of the last page.", schema::token_id),
                ]
            },
            ..read(
                "tokens",
                "/v1/tokens",
                "The tokens, without their texts.",
                &[Form { media: JSON, schema: schema::token_page }],
            )
        },
        get(tokens::list),
    );
    add(
        Operation {
            role: Role::Admin,
            reach: Reach::Whole,
            success: (
                201,
                "Made and stored. The text of the token is in no other answer.",
                &[Form { media: JSON, schema: schema::made_token }],
            ),
            problems: &[409, 413, 415, 422],
            ..change("create_token", Method::POST, "/v1/tokens", "Makes a token.", schema::new_token)
        },
        post(tokens::create),
    );
    add(
        Operation {
            role: Role::Admin,
            reach: Reach::Whole,
            success: (204, "The token opens nothing any more.", &[]),
            problems: &[404, 409, 413],
            ..change(
                "delete_token",
                Method::DELETE,
                "/v1/tokens/{id}",
                "Takes a token back.",
                schema::delete_token,
            )
        },
        delete(tokens::delete),
    );
    add(
        Operation {
            reach: Reach::Whole,
            parameters: PROXIES,
            problems: &[400, 503],
            knows: Knows::Leader,
            ..read(
                "proxies",
                "/v1/proxies",
                "The proxies of the fleet: which are connected, which plan each has in force, and which are refused since another one has their name.",
                &[Form { media: JSON, schema: schema::proxy_page }],
            )
        },
        get(proxies::proxies),
    );
    add(
        Operation {
            reach: Reach::Open,
            problems: &[],
            ..read(
                "openapi",
                "/v1/openapi.json",
                "This document.",
                &[Form { media: JSON, schema: schema::object }],
            )
        },
        get(openapi::openapi),
    );
    routes
}
