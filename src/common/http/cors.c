/* CORS: letting pages of the listed origins read the answers. There are no cookies here, so no credentials are allowed. */
#include "common/http/cors.h"
#include "private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

enum { ORIGIN_SIZE = 288 }; /* a host has 253 characters at most */

#define CORP "Cross-Origin-Resource-Policy"

/* What a page needs to know, and may not read otherwise. */
static const char exposed[] =
    "Consistency-Token, ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "WWW-Authenticate, X-Request-Id";
static const char accepted[] =
    "Authorization, Consistency-Token, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
    "X-Request-Id, traceparent, tracestate";

/* Takes the next entry of the list, without the blanks around it. False at the end. */
static bool next_origin(const char **list, const char **entry, size_t *len) {
    if (!*list)
        return false;
    const char *end = strchrnul(*list, ',');
    const char *at = *list + strspn(*list, " \t");
    if (at > end)
        at = end;
    *entry = at;
    *len = (size_t)(end - at);
    while (*len > 0 && strchr(" \t", at[*len - 1]))
        (*len)--;
    *list = *end ? end + 1 : NULL;
    return true;
}

/* Returns the text behind the host; NULL when there is none. */
static const char *skip_host(const char *host) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t len = strspn(host, LOWER DIGITS "-._");
    if (*host != '[')
        return len > 0 && *host != '.' && !memmem(host, len, "..", 2) ? host + len : NULL;
    const char *end = strchr(host, ']');
    if (!end || (size_t)(end - host) > sizeof text)
        return NULL;
    memcpy(text, host + 1, (size_t)(end - host - 1));
    text[end - host - 1] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 ? end + 1 : NULL;
}

static bool is_default_port(const char *origin, const char *port) {
    return (strncmp(origin, "http:", 5) == 0 && strcmp(port, "80") == 0) ||
           (strncmp(origin, "https:", 6) == 0 && strcmp(port, "443") == 0);
}

static const char *port_fault(const char *origin, const char *port) {
    size_t len = strspn(port, DIGITS);
    if (len == 0 || len > 5 || port[len] || *port == '0' || strtol(port, NULL, 10) > 65535)
        return "has a port that is not a number from 1 to 65535";
    if (is_default_port(origin, port))
        return "must not have the default port, as browsers leave it out";
    return NULL;
}

/* What is wrong with an origin; NULL: nothing. A browser sends it in one spelling only, and others would never match. */
static const char *origin_fault(const char *origin) {
    size_t scheme = strspn(origin, LOWER DIGITS "+-.");
    if (strcmp(origin, "*") == 0)
        return "would let every page in: list the origins";
    if (!*origin)
        return "is an empty entry";
    if (strpbrk(origin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return "must be in lower case, as browsers send it";
    if (scheme == 0 || !strchr(LOWER, *origin) || strncmp(origin + scheme, "://", 3) != 0)
        return "does not begin with a scheme such as https://";
    const char *rest = skip_host(origin + scheme + 3);
    if (!rest)
        return "has no valid host behind its scheme";
    if (*rest == ':')
        return port_fault(origin, rest + 1);
    if (*rest == '/')
        return "must end behind host and port, without a / or a path";
    return *rest ? "has a host with other characters than letters, digits, '-', '.' and '_'" : NULL;
}

bool cors_origins_valid(const char *list, struct buf *fault) {
    const char *entry;
    size_t len;
    if (!*list)
        return true;
    while (next_origin(&list, &entry, &len)) {
        char origin[ORIGIN_SIZE];
        size_t kept = len < sizeof origin ? len : sizeof origin - 1;
        memcpy(origin, entry, kept);
        origin[kept] = '\0';
        const char *why = len == kept ? origin_fault(origin) : "is longer than any origin";
        if (!why)
            continue;
        buf_printf(fault, "'%s' %s", origin, why);
        return false;
    }
    return true;
}

bool cors_origin_listed(const char *list, const char *origin) {
    const char *entry;
    size_t len, wanted = strlen(origin);
    while (next_origin(&list, &entry, &len))
        if (len == wanted && len > 0 && memcmp(entry, origin, len) == 0)
            return true;
    return false;
}

static bool is_open(const struct http_server *server) {
    return server->options.cors_origins && *server->options.cors_origins;
}

/* The origin of the page that sends the request, when it is a listed one; else NULL. */
static const char *listed_origin(struct http_exchange *x) {
    const char *origin = is_open(x->server) ? http_header(&x->request, "Origin") : NULL;
    return origin && cors_origin_listed(x->server->options.cors_origins, origin) ? origin : NULL;
}

size_t http_cors_memory(const struct http_server *server) {
    enum { FIELDS = sizeof exposed + ORIGIN_SIZE + 128 }; /* with their names */
    return is_open(server) ? FIELDS : 0;
}

bool http_cors_preflight(struct http_exchange *x, const char *methods) {
    if (strcmp(x->method, "OPTIONS") != 0 || !listed_origin(x) ||
        !http_header(&x->request, "Access-Control-Request-Method"))
        return false;
    http_reply_empty(&x->request, 204);
    http_reply_header(&x->request, "Access-Control-Allow-Methods", "%s", methods);
    http_reply_header(&x->request, "Access-Control-Allow-Headers", "%s", accepted);
    http_reply_header(&x->request, "Access-Control-Max-Age", "7200"); /* what browsers keep at most */
    return true;
}

void http_cors_fields(struct MHD_Response *response, struct http_exchange *x) {
    if (!is_open(x->server))
        return;
    MHD_add_response_header(response, "Vary",
                            "Origin"); /* also of what nobody listed asks for: it may be cached */
    const char *origin = listed_origin(x);
    if (!origin)
        return;
    MHD_del_response_header(response, CORP, "same-origin");
    MHD_add_response_header(response, CORP, "cross-origin");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
    MHD_add_response_header(response, "Access-Control-Expose-Headers", exposed);
}
