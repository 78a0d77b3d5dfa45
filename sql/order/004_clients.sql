-- OAuth clients. A secret is 256 random bits. It is shown once, and only its SHA-256 is stored.
CREATE TABLE clients (
    client_id   text PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 255),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
    scope       text NOT NULL,
    disabled    boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
