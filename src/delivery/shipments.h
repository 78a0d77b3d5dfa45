/* The handlers of /delivery/shipment. *_prepare runs on an HTTP thread, *_run on a worker thread
 * (common/http/server.h). */
#pragma once

#include "common/http/server.h"

void shipments_get_prepare(struct http_request *request); /* for both GET routes */
enum outcome shipments_get_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome shipments_events_run(struct http_worker *worker, struct http_request *requests[], size_t n);

void shipments_status_prepare(struct http_request *request);
enum outcome shipments_status_run(struct http_worker *worker, struct http_request *requests[], size_t n);
