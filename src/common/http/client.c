/* The address of the client: the peer, or the address that a trusted proxy names. */
#include "private.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

enum { FORWARDED_LINES = 8 };

struct forwarded { /* the last lines of X-Forwarded-For */
    const char *lines[FORWARDED_LINES];
    size_t count;
};

static enum MHD_Result collect_forwarded(void *cls, enum MHD_ValueKind kind, const char *key,
                                         const char *value) {
    (void)kind;
    struct forwarded *f = cls;
    if (!value || strcasecmp(key, "X-Forwarded-For") != 0)
        return MHD_YES;
    if (f->count == FORWARDED_LINES)
        memmove(f->lines, f->lines + 1, --f->count * sizeof *f->lines);
    f->lines[f->count++] = value;
    return MHD_YES;
}

struct address http_client_address(struct http_exchange *x) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct address peer = address_of_socket(info->client_addr);
    if (x->server->proxies.count == 0)
        return peer;
    struct forwarded f = {0};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, collect_forwarded, &f);
    return address_of_client(&x->server->proxies, peer, f.lines, f.count);
}
