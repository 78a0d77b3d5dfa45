/* No standby is read from. Include in one file of a test. */
#pragma once

#include "order/standby.h"

bool standby_asks(struct http_request *request) {
    (void)request;
    return false;
}

void standby_mark(struct http_worker *worker, struct http_request *const requests[], size_t n) {
    (void)worker, (void)requests, (void)n;
}
