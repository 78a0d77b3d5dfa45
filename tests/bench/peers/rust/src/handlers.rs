//! The routes.

use std::{fmt::Write, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use redis::AsyncCommands;
use uuid::Uuid;

use crate::{
    App,
    order::{Order, push_items, push_money, push_text, push_time, receipt},
    store::{Stored, key_is_busy},
};

pub const MAX_BODY: usize = 64 << 10;
const MAX_KEY: usize = 255;
const VIEW_LIFE: u64 = 3600; // seconds
const JSON: &str = "application/json";

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The value must be visible ASCII, or the header is left out.
pub fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

pub fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let mut out = String::with_capacity(384);
    out.push_str("{\"type\":\"about:blank\",\"title\":");
    push_text(&mut out, status.canonical_reason().unwrap_or("Error"));
    let _ = write!(out, ",\"status\":{},\"detail\":", status.as_u16());
    push_text(&mut out, detail);
    out.push_str(",\"error\":");
    push_text(&mut out, code);
    out.push_str(",\"message\":");
    push_text(&mut out, detail);
    out.push('}');
    let response = reply(status, "application/problem+json", out);
    match code {
        "UNAVAILABLE" | "IDEMPOTENCY_CONFLICT" => with_header(response, header::RETRY_AFTER, "1"),
        _ => response,
    }
}

fn unavailable(error: impl std::fmt::Display) -> Response {
    eprintln!("{error}");
    problem(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The database is not available")
}

fn no_order() -> Response {
    problem(StatusCode::NOT_FOUND, "ORDER_NOT_FOUND", "There is no such order")
}

pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let pong = redis::cmd("PING").exec_async(&mut app.redis.clone()).await;
    match (app.store.ping().await, pong) {
        (Ok(()), Ok(())) => reply(StatusCode::OK, JSON, "{\"status\":\"up\"}"),
        _ => reply(StatusCode::SERVICE_UNAVAILABLE, JSON, "{\"status\":\"down\"}"),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    text.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(JSON))
}

/// "k:" and the Idempotency-Key. An error when it is bad.
fn read_key(headers: &HeaderMap) -> Result<Option<String>, ()> {
    let mut values = headers.get_all("Idempotency-Key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| ())?;
    let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = unquoted.unwrap_or(text);
    let good = |c: u8| c.is_ascii_graphic() && c != b'"' && !(unquoted.is_some() && c == b'\\');
    let valid = values.next().is_none() && (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(good);
    if valid { Ok(Some(format!("k:{key}"))) } else { Err(()) }
}

pub async fn create_order(State(app): State<Arc<App>>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let claims = match app.tokens.check(&headers, "order:create") {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    if !is_json(&headers) {
        let detail = "Send the body as application/json";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail);
    }
    let Ok(key) = read_key(&headers) else {
        let detail = "Send one Idempotency-Key of 1 to 255 visible ASCII characters";
        return problem(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", detail);
    };
    let Ok(body) = body else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "The body is larger than 64 KiB");
    };
    match Order::parse(&body, &claims.client_id) {
        Ok(order) => place_order(&app, order, key).await,
        Err(fault) => problem(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", &fault),
    }
}

/// Answers with the new order, or with the one that its key stands for.
async fn place_order(app: &App, order: Order, key: Option<String>) -> Response {
    let fingerprint = order.fingerprint();
    let key = key.unwrap_or_else(|| {
        fingerprint.iter().fold(String::from("f:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    let busy = || {
        let detail = "A request with the same key is in progress";
        problem(StatusCode::CONFLICT, "IDEMPOTENCY_CONFLICT", detail)
    };
    match app.store.create(&order, &key, &fingerprint).await {
        Ok(true) => return placed(order.id, receipt(order.id, order.total, order.created)),
        Ok(false) => {}
        Err(error) if key_is_busy(&error) => return busy(),
        Err(error) => return unavailable(error),
    }
    match app.store.taken(&order.client, &key).await {
        Ok(Some(first)) if first.fingerprint == fingerprint => {
            let response = placed(first.id, receipt(first.id, first.total, first.created));
            with_header(response, HeaderName::from_static("idempotent-replayed"), "true")
        }
        Ok(Some(_)) => {
            let detail = "This Idempotency-Key was used for another order";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED", detail)
        }
        Ok(None) => busy(),
        Err(error) => unavailable(error),
    }
}

fn placed(id: Uuid, receipt: String) -> Response {
    with_header(reply(StatusCode::CREATED, JSON, receipt), header::LOCATION, &format!("/orders/{id}"))
}

fn view(id: Uuid, order: &Stored) -> String {
    let mut out = String::with_capacity(512);
    let _ = write!(out, "{{\"id\":\"{id}\",\"customer_id\":");
    push_text(&mut out, &order.customer);
    out.push_str(",\"status\":");
    push_text(&mut out, &order.status);
    out.push_str(",\"total_amount\":");
    push_money(&mut out, order.total);
    push_items(&mut out, &order.items);
    let optional = |out: &mut String, name: &str, value: &Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, ",\"{name}\":");
            push_text(out, value);
        }
    };
    optional(&mut out, "tracking_number", &order.tracking);
    optional(&mut out, "carrier", &order.carrier);
    out.push_str(",\"created_at\":");
    push_time(&mut out, order.created);
    out.push_str(",\"updated_at\":");
    push_time(&mut out, order.updated);
    optional(&mut out, "currency", &order.currency);
    out.push('}');
    out
}

fn reply_view(tag: &str, view: String) -> Response {
    let response = with_header(reply(StatusCode::OK, JSON, view), header::ETAG, tag);
    with_header(response, header::CACHE_CONTROL, "private, no-cache")
}

pub async fn get_order(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let claims = match app.tokens.check(&headers, "order:read") {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    let client = &claims.client_id;
    let Some(id) = (id.len() == 36).then(|| Uuid::try_parse(&id).ok()).flatten() else { return no_order() };
    let name = format!("peer:view:{id}");
    let mut redis = app.redis.clone();
    // A view stands behind its client and its tag.
    if let Ok(Some(kept)) = redis.get::<_, Option<String>>(&name).await {
        let mut parts = kept.splitn(3, '\n');
        if let (Some(owner), Some(tag), Some(view)) = (parts.next(), parts.next(), parts.next()) {
            return if owner == client { reply_view(tag, view.into()) } else { no_order() };
        }
    }
    match app.store.find(id, client).await {
        Ok(Some(order)) => {
            let (view, tag) = (view(id, &order), format!("\"v{}\"", order.version));
            if order.status == "DELIVERED" || order.status == "CANCELLED" {
                // Nothing changes any more. Without Redis the next one reads it from PostgreSQL, too.
                let _ = redis.set_ex::<_, _, ()>(&name, format!("{client}\n{tag}\n{view}"), VIEW_LIFE).await;
            }
            reply_view(&tag, view)
        }
        Ok(None) => no_order(),
        Err(error) => unavailable(error),
    }
}
