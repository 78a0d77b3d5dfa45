/* Writing rows of the history, in the transaction of the change they tell of. */
#pragma once

#include "common/db/db.h"
#include "order_event.h"

#include <stddef.h>

/* The start of every statement that writes history. EVENT_POSITION and the other values follow, in this order: n,
 * occurred_at, order_id, client_id, type, previous_status, status, actor, request_id, trace_id, data. Only one statement of
 * a transaction may write history, because it numbers the events of the transaction from 1. The transactions of an order
 * must come one after the other: order_store_lock sees to that. */
#define EVENT_INSERT                                                                                         \
    "INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, previous_status,"      \
    " status, actor, request_id, trace_id, data)"
#define EVENT_POSITION                                                                                           \
    "(SELECT coalesce((SELECT epoch FROM order_event_epochs WHERE server_started = pg_postmaster_start_time())," \
    " order_event_epoch())), (SELECT pg_current_xact_id()::text::bigint)"

/* Writes the events of event_rows_add, whose parameters these are. */
#define EVENT_INSERT_ROWS(occurred, order, client, type, previous, status, actor, request, trace, data)      \
    EVENT_INSERT " SELECT " EVENT_POSITION ", n, occurred_at, order_id, client_id, type, previous_status,"   \
                 " status, actor, request_id, trace_id, data"                                                \
                 " FROM unnest(" occurred "::timestamptz[], " order "::uuid[], " client "::text[], " type    \
                 "::text[], " previous "::text[], " status "::text[], " actor "::text[], " request           \
                 "::text[], " trace "::text[], " data "::text[]) WITH ORDINALITY"                            \
                 " AS e(occurred_at, order_id, client_id, type, previous_status, status, actor, request_id," \
                 " trace_id, data, n)"

/* Adds ten array parameters, in the order of EVENT_INSERT_ROWS. */
void event_rows_add(struct db_params *params, const struct order_event events[], size_t n);
