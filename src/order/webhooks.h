/* The handlers of /webhooks. *_prepare runs on an HTTP thread, *_run on a worker thread (common/http/server.h). */
#pragma once

#include "common/http/server.h"

void webhooks_post_prepare(struct http_request *request);
enum outcome webhooks_post_run(struct http_worker *worker, struct http_request *requests[], size_t n);

/* GET /webhooks, and GET /webhooks/:id/deliveries. */
void webhooks_list_prepare(struct http_request *request);
enum outcome webhooks_list_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome webhooks_deliveries_run(struct http_worker *worker, struct http_request *requests[], size_t n);

void webhooks_change_prepare(struct http_request *request);
enum outcome webhooks_change_run(struct http_worker *worker, struct http_request *requests[], size_t n);

/* What needs no more than the ids of the path. */
void webhooks_named_prepare(struct http_request *request);
enum outcome webhooks_get_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome webhooks_delete_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome webhooks_rotate_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome webhooks_ping_run(struct http_worker *worker, struct http_request *requests[], size_t n);
enum outcome webhooks_retry_run(struct http_worker *worker, struct http_request *requests[], size_t n);
