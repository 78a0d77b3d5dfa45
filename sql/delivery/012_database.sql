-- Which database these tables were in last. After a restore they are in another one: then corrections that it has lost are
-- published again. One row.
CREATE TABLE delivery_database (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    identity text NOT NULL
);
