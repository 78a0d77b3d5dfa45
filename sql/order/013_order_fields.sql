-- What an order carries besides its items. All columns may be NULL, and no row is rewritten: the lock is short. Binaries of
-- before do not know the columns, and write NULL.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS reference text COLLATE "C",      -- the shop's own number; NULL: none
    ADD COLUMN IF NOT EXISTS metadata text COLLATE "C",       -- a JSON object of strings; NULL: none
    ADD COLUMN IF NOT EXISTS currency text COLLATE "C",       -- ISO 4217; NULL: made before orders had one
    ADD COLUMN IF NOT EXISTS shipped_at timestamptz,          -- NULL: not yet, or before there was this column
    ADD COLUMN IF NOT EXISTS delivered_at timestamptz,
    -- NOT VALID: the rows that exist are not read, as they have none of this.
    ADD CONSTRAINT orders_reference_check CHECK (length(reference) BETWEEN 1 AND 64) NOT VALID,
    ADD CONSTRAINT orders_currency_check CHECK (length(currency) = 3) NOT VALID;
