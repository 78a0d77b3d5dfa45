-- Orders and their items. Ids are UUIDv7, which sort by time. So inserts stay at the end of the primary key, and
-- "newest first" is "ORDER BY id DESC".
CREATE TABLE orders (
    id              uuid PRIMARY KEY,
    client_id       text NOT NULL,
    customer_id     text NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 255),
    status          text NOT NULL DEFAULT 'PENDING_SHIPMENT'
                    CHECK (status IN ('PENDING_SHIPMENT', 'SHIPPED', 'DELIVERED')),
    total_amount    numeric(12, 2) NOT NULL CHECK (total_amount > 0),
    tracking_number text,
    carrier         text,
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);

-- For GET /orders: the orders of one client or (scope order:read:all) of all, with or without a customer.
CREATE INDEX orders_client_idx ON orders (client_id, id);
CREATE INDEX orders_customer_idx ON orders (customer_id, id);
-- For GET /orders?status=. It has only orders that are still on their way.
CREATE INDEX orders_open_idx ON orders (status, id) WHERE status <> 'DELIVERED';

CREATE TABLE order_items (
    order_id   uuid NOT NULL REFERENCES orders (id),
    position   smallint NOT NULL,
    product_id text NOT NULL CHECK (length(product_id) BETWEEN 1 AND 255),
    quantity   integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    unit_price numeric(10, 2) NOT NULL CHECK (unit_price > 0),
    PRIMARY KEY (order_id, position)
);
