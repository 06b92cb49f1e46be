//! The OpenAPI 3.1 document, made from the list of operations that the router is made from.

use axum::{Json, extract::State};
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Context,
    operation::{Form, Operation, Parameter, Place, Reach},
    schema,
};

pub(super) async fn openapi(State(context): State<Context>) -> Json<Value> {
    Json(document(context.operations.iter(), context.known.ask()))
}

/// The whole document; `asks` says whether whoever asks must say who it is.
pub(super) fn document<'a>(operations: impl Iterator<Item = &'a Operation>, asks: bool) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            methods.insert(operation.method.as_str().to_ascii_lowercase(), described(operation));
        }
    }
    let mut security = vec![json!({ "token": [] }), json!({ "certificate": [] })];
    if !asks {
        security.push(json!({}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Serin control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Weights, rollouts, and why. Errors are problem details (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schema::all(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "certificate": { "type": "mutualTLS" },
            },
        },
        "security": security,
    })
}

fn described(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = in_path(operation.path).collect();
    parameters.extend(operation.parameters.iter().map(parameter));
    let reach = match operation.reach {
        Reach::Service => "Whoever is limited to services may ask for those.",
        Reach::Group => "Whoever is limited to services must have all of the group's.",
        Reach::Filtered => "Whoever is limited to services sees those.",
        Reach::Whole => "Not for whoever is limited to services.",
        Reach::Open => "",
    };
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.about,
        "description": format!("Takes the role {}. {reach}", operation.role).trim_end(),
        "x-serin-role": operation.role,
        "parameters": parameters,
        "responses": responses(operation),
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({
            "required": operation.method != Method::DELETE,
            "content": { "application/json": { "schema": body() } },
        });
    }
    described
}

fn in_path(path: &'static str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(move |name| {
        let schema = match name {
            "service" | "group" => schema::name(),
            "id" if path.starts_with("/v1/tokens") => schema::token_id(),
            _ => schema::number(),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": false,
        "description": parameter.about,
        "schema": (parameter.schema)(),
    })
}

fn responses(operation: &Operation) -> Value {
    let (status, meaning, forms) = operation.success;
    let mut responses = Map::from_iter([(status.to_string(), response(meaning, forms))]);
    if !operation.reads() && status == 200 {
        let meaning =
            "Done, but not yet stored: the canary was taken out while the store could not be written.";
        responses.insert("202".into(), response(meaning, forms));
    }
    let common = [400, 401, 403, 405, 421, 429, 500, 502, 503, 504];
    // A key may stand for another change.
    let of_changes: &[u16] = if operation.reads() { &[] } else { &[422] };
    for status in common.iter().chain(of_changes).chain(operation.problems) {
        let meaning = http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        let problem = [Form { media: "application/problem+json", schema: || schema::of("Problem") }];
        responses.insert(status.to_string(), response(meaning.unwrap_or_default(), &problem));
    }
    Value::Object(responses)
}

fn response(meaning: &str, forms: &[Form]) -> Value {
    let content: Map<String, Value> =
        forms.iter().map(|form| (form.media.to_owned(), json!({ "schema": (form.schema)() }))).collect();
    if content.is_empty() {
        return json!({ "description": meaning });
    }
    json!({ "description": meaning, "content": content })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::routes::routes;

    fn made() -> Value {
        document(routes().iter().map(|route| &route.operation), true)
    }

    fn references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    into.insert(to.rsplit('/').next().unwrap().to_owned());
                }
                members.values().for_each(|member| references(member, into));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, into)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_is_in_the_document_once_with_its_role() {
        let document = made();
        let mut ids = BTreeSet::new();
        for route in routes() {
            let Operation { id, method, path, role, .. } = route.operation;
            let found = &document["paths"][path][method.as_str().to_ascii_lowercase()];
            assert_eq!(found["operationId"], id, "{method} {path}");
            assert_eq!(found["x-serin-role"], role.label(), "{method} {path}");
            assert!(ids.insert(id), "{id} stands there twice");
        }
        let listed: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(listed, ids.len());
    }

    #[test]
    fn every_reference_leads_somewhere_and_nothing_is_described_for_nobody() {
        let document = made();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let described: BTreeSet<String> =
            document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(used, described);
    }
}
