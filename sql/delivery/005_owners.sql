-- The client whose order it is. It is NULL for shipments of earlier versions, which order-svc did not tell.
ALTER TABLE shipments ADD COLUMN client_id text;
