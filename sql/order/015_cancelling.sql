-- Cancelling an order. order-svc only records the wish, and delivery-svc decides: it alone knows whether the parcel has left.
-- cancellation is NULL, 'requested', 'accepted' or 'refused'. The reason is the client's, and may say something of a person.
ALTER TABLE orders ADD COLUMN cancellation text COLLATE "C", ADD COLUMN cancellation_reason text COLLATE "C";

-- The new rule allows more than the old one, so no row has to be looked at (and the table is not locked for that).
ALTER TABLE orders DROP CONSTRAINT orders_status_check;
ALTER TABLE orders ADD CONSTRAINT orders_status_check
    CHECK (status IN ('PENDING_SHIPMENT', 'SHIPPED', 'DELIVERED', 'CANCELLED')) NOT VALID;
