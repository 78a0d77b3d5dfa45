/* Handlers of /delivery/shipment. */
#pragma once

#include "common/db/db.h"
#include "common/http/http.h"

#include <stddef.h>

void shipments_prepare_order(struct http_request *request); /* of both GETs */
enum db_status shipments_get(struct http_worker *worker, struct http_request *requests[], size_t n);
enum db_status shipments_get_events(struct http_worker *worker, struct http_request *requests[], size_t n);

void shipments_prepare_change(struct http_request *request);
enum db_status shipments_change(struct http_worker *worker, struct http_request *requests[], size_t n);
