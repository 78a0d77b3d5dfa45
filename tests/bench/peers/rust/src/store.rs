//! The SQL. Statements are prepared once per connection.

use std::{error::Error, time::Duration, time::SystemTime};

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::{NoTls, Row, error::SqlState};
use uuid::Uuid;

use crate::order::{CURRENCY, Item, Order, new_id, new_traceparent};
use crate::setting;

/// One statement is one transaction and one round trip. Whoever inserts the key first creates the order; the others wait for
/// that transaction and get no row.
const CREATE: &str = "
WITH claimed AS (
  INSERT INTO idempotency_keys AS k (client_id, key, fingerprint, order_id, expires_at)
  VALUES ($2, $6, $7, $1, $8)
  ON CONFLICT (client_id, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, order_id = excluded.order_id, expires_at = excluded.expires_at
    WHERE k.expires_at <= now()
  RETURNING order_id
), placed AS (
  INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at, currency)
  SELECT order_id, $2, $3, $4::bigint * 0.01, $5, $5, $9 FROM claimed
), listed AS (
  INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)
  SELECT order_id, position, product_id, quantity, cents * 0.01
    FROM claimed, unnest($10::text[], $11::bigint[], $12::bigint[]) WITH ORDINALITY AS i(product_id, quantity, cents, position)
), announced AS (
  INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
  SELECT $13, order_id, $14, $15, $16 FROM claimed
), recorded AS (
  INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, status, request_id, trace_id)
  SELECT (SELECT coalesce((SELECT epoch FROM order_event_epochs WHERE server_started = pg_postmaster_start_time()),
                          order_event_epoch())),
         (SELECT pg_current_xact_id()::text::bigint), 1, $5, order_id, $2, 'order.created', 'PENDING_SHIPMENT', $15,
         substr($16, 4, 32)
    FROM claimed
)
SELECT order_id FROM claimed";

const TAKEN: &str = "
SELECT k.fingerprint, o.id, (o.total_amount * 100)::bigint, o.created_at
  FROM idempotency_keys k JOIN orders o ON o.id = k.order_id
 WHERE k.client_id = $1 AND k.key = $2";

const FIND: &str = "
SELECT o.customer_id, o.status, (o.total_amount * 100)::bigint, o.tracking_number, o.carrier, o.version, o.created_at,
       o.updated_at, o.currency, i.product_id, i.quantity, (i.unit_price * 100)::bigint
  FROM orders o JOIN order_items i ON i.order_id = o.id
 WHERE o.id = $1 AND o.client_id = $2
 ORDER BY i.position";

const LIFE: Duration = Duration::from_secs(24 * 3600);

pub struct Store(Pool);

/// What a taken key stands for.
pub struct Taken {
    pub fingerprint: Vec<u8>,
    pub id: Uuid,
    pub total: i64,
    pub created: SystemTime,
}

/// An order as GET shows it.
pub struct Stored {
    pub customer: String,
    pub status: String,
    pub total: i64,
    pub tracking: Option<String>,
    pub carrier: Option<String>,
    pub version: i64,
    pub created: SystemTime,
    pub updated: SystemTime,
    pub currency: Option<String>,
    pub items: Vec<Item>,
}

impl Store {
    pub fn open(connections: usize) -> Result<Self, Box<dyn Error>> {
        let mut config = tokio_postgres::Config::new();
        config
            .host(setting("DB_HOST", "127.0.0.1"))
            .port(setting("DB_PORT", "5432").parse()?)
            .user(setting("DB_USER", "postgres"))
            .password(setting("DB_PASSWORD", ""))
            .dbname(setting("DB_NAME", "orders"))
            .options("-c lock_timeout=2s -c statement_timeout=5s");
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(10)))
            .build()?;
        Ok(Self(pool))
    }

    pub async fn ping(&self) -> Result<(), PoolError> {
        self.0.get().await?.simple_query("").await?;
        Ok(())
    }

    /// Stores the order, unless its key is taken. Tells whether it did.
    pub async fn create(&self, order: &Order, key: &str, fingerprint: &[u8]) -> Result<bool, PoolError> {
        let products: Vec<&str> = order.items.iter().map(|item| item.product.as_str()).collect();
        let quantities: Vec<i64> = order.items.iter().map(|item| item.quantity).collect();
        let prices: Vec<i64> = order.items.iter().map(|item| item.cents).collect();
        let (event_id, _) = new_id();
        let (event, request_id, traceparent) = (order.event(event_id), new_id().0.to_string(), new_traceparent());
        let client = self.0.get().await?;
        let statement = client.prepare_cached(CREATE).await?;
        let row = client
            .query_opt(
                &statement,
                &[
                    &order.id,
                    &order.client,
                    &order.customer,
                    &order.total,
                    &order.created,
                    &key,
                    &fingerprint,
                    &(order.created + LIFE),
                    &CURRENCY,
                    &products,
                    &quantities,
                    &prices,
                    &event_id,
                    &event,
                    &request_id,
                    &traceparent,
                ],
            )
            .await?;
        Ok(row.is_some())
    }

    pub async fn taken(&self, client_id: &str, key: &str) -> Result<Option<Taken>, PoolError> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(TAKEN).await?;
        let row = client.query_opt(&statement, &[&client_id, &key]).await?;
        Ok(row.map(|row| Taken { fingerprint: row.get(0), id: row.get(1), total: row.get(2), created: row.get(3) }))
    }

    pub async fn find(&self, id: Uuid, client_id: &str) -> Result<Option<Stored>, PoolError> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(FIND).await?;
        let rows = client.query(&statement, &[&id, &client_id]).await?;
        Ok(rows.first().map(|row| Stored {
            customer: row.get(0),
            status: row.get(1),
            total: row.get(2),
            tracking: row.get(3),
            carrier: row.get(4),
            version: row.get(5),
            created: row.get(6),
            updated: row.get(7),
            currency: row.get(8),
            items: rows.iter().map(item_of).collect(),
        }))
    }
}

fn item_of(row: &Row) -> Item {
    Item { product: row.get(9), quantity: row.get::<_, i32>(10).into(), cents: row.get(11) }
}

/// We waited too long for another request with the same key.
pub fn key_is_busy(error: &PoolError) -> bool {
    matches!(error, PoolError::Backend(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
}
