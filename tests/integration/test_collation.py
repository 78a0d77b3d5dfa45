"""Indexes on text do not depend on the operating system's order of a language, which an upgrade changes."""

import pytest
from harness import System

DEPENDENT = """
    SELECT c.relname, a.attname
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_attribute a ON a.attrelid = i.indexrelid
      JOIN pg_collation n ON n.oid = a.attcollation
      JOIN pg_class t ON t.oid = i.indrelid
     WHERE t.relnamespace = 'public'::regnamespace AND n.collname <> 'C'
     ORDER BY 1, 2"""


@pytest.fixture
def migrated(parts):
    with System(parts) as both:
        for daemon in (both.order_svc(), both.delivery_svc()):
            assert daemon.command("--migrate").returncode == 0
        yield both


def test_no_index_depends_on_a_language(migrated):
    assert migrated.query(DEPENDENT) == []


def test_big_tables_are_left_to_the_operator(parts):
    with System(parts) as both:
        order = both.order_svc()
        assert order.command("--migrate").returncode == 0
        both.query("DELETE FROM order_migrations WHERE name = '008_collation'; "
                   "ALTER TABLE idempotency_keys ALTER COLUMN key TYPE text COLLATE \"default\"")
        both.query("INSERT INTO idempotency_keys SELECT 'c', 'key-' || i, '', gen_random_uuid(), now() + interval '1 day'"
                   "  FROM generate_series(1, 100001) AS i")
        assert order.command("--migrate").returncode == 0
        assert ("idempotency_keys_pkey", "key") in both.query(DEPENDENT)
