//! The order path of order-svc in Rust: axum, tokio-postgres, redis. It is what order-svc is measured against, not a part of
//! the system.

mod auth;
mod handlers;
mod order;
mod store;

use std::{env, error::Error, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
    serve::ListenerExt,
};
use redis::aio::ConnectionManager;
use tokio::{net::TcpListener, signal::unix::SignalKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub struct App {
    tokens: auth::Tokens,
    store: store::Store,
    redis: ConnectionManager, // one connection, whose requests are in a pipeline by themselves
}

pub fn setting(name: &str, fallback: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| fallback.into())
}

async fn ended() {
    let mut signal = tokio::signal::unix::signal(SignalKind::terminate()).expect("signals can be awaited");
    signal.recv().await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis =
        format!("redis://{}:{}/{}", setting("REDIS_HOST", "127.0.0.1"), setting("REDIS_PORT", "6379"), setting("REDIS_DB", "0"));
    let app = Arc::new(App {
        tokens: auth::Tokens::new(
            &setting("JWT_SECRET", ""),
            &setting("JWT_ISSUER", "order-processing-system"),
            &setting("JWT_AUDIENCE", "order-api"),
        ),
        store: store::Store::open(setting("DB_POOL_SIZE", "16").parse()?)?,
        redis: ConnectionManager::new(redis::Client::open(redis)?).await?,
    });
    let routes = Router::new()
        .route("/orders", post(handlers::create_order))
        .route("/orders/{id}", get(handlers::get_order))
        .route("/health/ready", get(handlers::ready))
        .layer(DefaultBodyLimit::max(handlers::MAX_BODY))
        .with_state(app);
    let address = format!("{}:{}", setting("BIND_ADDRESS", "127.0.0.1"), setting("ORDER_SERVICE_PORT", "3001"));
    let listener = TcpListener::bind(address).await?.tap_io(|socket| {
        let _ = socket.set_nodelay(true); // slower without, but not wrong
    });
    axum::serve(listener, routes).with_graceful_shutdown(ended()).await?;
    Ok(())
}
