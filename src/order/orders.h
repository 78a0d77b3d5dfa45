/* The handlers of /orders. *_prepare runs on an HTTP thread, *_run on a worker thread (common/http/server.h). */
#pragma once

#include "common/http/server.h"

void orders_post_prepare(struct http_request *request);
enum outcome orders_post_run(struct http_worker *worker, struct http_request *requests[], size_t n);

void orders_get_prepare(struct http_request *request);
enum outcome orders_get_run(struct http_worker *worker, struct http_request *requests[], size_t n);

void orders_list_prepare(struct http_request *request);
enum outcome orders_list_run(struct http_worker *worker, struct http_request *requests[], size_t n);

void orders_cancel_prepare(struct http_request *request);
enum outcome orders_cancel_run(struct http_worker *worker, struct http_request *requests[], size_t n);
