-- The roles of production. The role of a daemon reads and writes the rows of its own tables, and nothing else. Another
-- role owns the tables and is used by --migrate only. An administrator runs this in the daemons' database before the first
-- migration. Running it again is harmless.
--     SECRETS=/etc/order-processing/secrets psql -d orderprocessing -f sql/roles.sql
-- Each password is in a file named after its role, such as order_svc_password. When one cannot be read, nothing is done.
\set ON_ERROR_STOP on
\set order_svc `cat "${SECRETS:-/run/secrets}/order_svc_password"`
\set order_migrator `cat "${SECRETS:-/run/secrets}/order_migrator_password"`
\set delivery_svc `cat "${SECRETS:-/run/secrets}/delivery_svc_password"`
\set delivery_migrator `cat "${SECRETS:-/run/secrets}/delivery_migrator_password"`
SET client_min_messages = warning;

-- A command that failed sets no variable, or an empty one.
\if :{?order_svc} \else \set order_svc '' \endif
\if :{?order_migrator} \else \set order_migrator '' \endif
\if :{?delivery_svc} \else \set delivery_svc '' \endif
\if :{?delivery_migrator} \else \set delivery_migrator '' \endif
SELECT '' IN (:'order_svc', :'order_migrator', :'delivery_svc', :'delivery_migrator') AS incomplete \gset
\if :incomplete
DO $$ BEGIN RAISE 'a password of a role is missing: see SECRETS in sql/roles.sql'; END $$;
\endif

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['order_svc', 'order_migrator', 'delivery_svc', 'delivery_migrator']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE order_svc PASSWORD :'order_svc';
ALTER ROLE order_migrator PASSWORD :'order_migrator';
ALTER ROLE delivery_svc PASSWORD :'delivery_svc';
ALTER ROLE delivery_migrator PASSWORD :'delivery_migrator';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO order_svc, order_migrator, delivery_svc, delivery_migrator;
REVOKE CREATE ON SCHEMA public FROM PUBLIC; -- the default since PostgreSQL 15
GRANT CREATE ON SCHEMA public TO order_migrator, delivery_migrator;

ALTER DEFAULT PRIVILEGES FOR ROLE order_migrator GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO order_svc;
ALTER DEFAULT PRIVILEGES FOR ROLE delivery_migrator GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO delivery_svc;
