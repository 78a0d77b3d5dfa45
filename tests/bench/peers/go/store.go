package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// One statement is one transaction and one round trip. Whoever inserts the key first creates the order; the others wait for
// that transaction and get no row.
const createSQL = `
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
SELECT order_id FROM claimed`

const takenSQL = `
SELECT k.fingerprint, o.id, (o.total_amount * 100)::bigint, o.created_at
  FROM idempotency_keys k JOIN orders o ON o.id = k.order_id
 WHERE k.client_id = $1 AND k.key = $2`

const findSQL = `
SELECT o.customer_id, o.status, (o.total_amount * 100)::bigint, o.tracking_number, o.carrier, o.version, o.created_at,
       o.updated_at, o.currency, i.product_id, i.quantity, (i.unit_price * 100)::bigint
  FROM orders o JOIN order_items i ON i.order_id = o.id
 WHERE o.id = $1 AND o.client_id = $2
 ORDER BY i.position`

type store struct{ pool *pgxpool.Pool }

// stored is an order as GET shows it.
type stored struct {
	order
	Status            string
	Tracking, Carrier *string
	Currency          *string
	Version           int64
	Updated           time.Time
}

func openStore(ctx context.Context, connections int) (*store, error) {
	address := url.URL{Scheme: "postgres", User: url.UserPassword(env("DB_USER", "postgres"), env("DB_PASSWORD", "")),
		Host: net.JoinHostPort(env("DB_HOST", "127.0.0.1"), env("DB_PORT", "5432")), Path: "/" + env("DB_NAME", "orders")}
	config, err := pgxpool.ParseConfig(address.String()) // statements are prepared once per connection
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(connections)
	config.MinConns = config.MaxConns
	config.MaxConnLifetime = 24 * time.Hour
	config.ConnConfig.RuntimeParams["lock_timeout"] = "2s"
	config.ConnConfig.RuntimeParams["statement_timeout"] = "5s"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &store{pool}, nil
}

func (s *store) close() { s.pool.Close() }

func (s *store) ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// create stores the order, unless its key is taken. Reports whether it did.
func (s *store) create(ctx context.Context, o *order, key string, fingerprint []byte) (bool, error) {
	products, quantities, prices := make([]string, len(o.Items)), make([]int64, len(o.Items)), make([]int64, len(o.Items))
	for i, one := range o.Items {
		products[i], quantities[i], prices[i] = one.Product, one.Quantity, one.Cents
	}
	eventID, _ := newID()
	requestID, _ := newID()
	var id uuid.UUID
	err := s.pool.QueryRow(ctx, createSQL, o.ID, o.Client, o.Customer, o.Total, o.Created, key, fingerprint,
		o.Created.Add(24*time.Hour), currency, products, quantities, prices, eventID, o.event(eventID), requestID.String(),
		newTraceparent()).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// taken reads what the key stands for into o, and returns the fingerprint of its payload.
func (s *store) taken(ctx context.Context, o *order, key string) (fingerprint []byte, err error) {
	err = s.pool.QueryRow(ctx, takenSQL, o.Client, key).Scan(&fingerprint, &o.ID, &o.Total, &o.Created)
	return fingerprint, err
}

func (s *store) find(ctx context.Context, id uuid.UUID, client string) (*stored, error) {
	rows, err := s.pool.Query(ctx, findSQL, id, client)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := &stored{order: order{ID: id, Client: client}}
	for rows.Next() {
		var one item
		err := rows.Scan(&found.Customer, &found.Status, &found.Total, &found.Tracking, &found.Carrier, &found.Version,
			&found.Created, &found.Updated, &found.Currency, &one.Product, &one.Quantity, &one.Cents)
		if err != nil {
			return nil, err
		}
		found.Items = append(found.Items, one)
	}
	if rows.Err() == nil && len(found.Items) == 0 {
		return nil, pgx.ErrNoRows
	}
	return found, rows.Err()
}

// keyIsBusy: we waited too long for another request with the same key.
func keyIsBusy(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && failure.Code == "55P03"
}
