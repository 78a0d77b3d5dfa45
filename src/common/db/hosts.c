/* The addresses behind DB_HOST and DB_PORT: a list of hosts, each of which may have several. */
#include "private.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Item i of a list that is separated by commas; the last one when there are fewer. Returns false behind the last. */
static bool list_item(const char *list, size_t i, char *out, size_t size) {
    bool found = true;
    for (; i > 0 && found; i--) {
        const char *comma = strchr(list, ',');
        found = comma;
        list = comma ? comma + 1 : list;
    }
    snprintf(out, size, "%.*s", (int)strcspn(list, ","), list);
    return found;
}

static bool is_directory(const char *host) {
    return *host == '/' || *host == '@';
}

/* Adds the addresses of one host. A name that cannot be resolved has none, and *why says so. */
static size_t add_host(const char *host, const char *port, struct db_address out[], size_t room,
                       const char **why) {
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    size_t count = 0;
    int error = is_directory(host) ? 0 : getaddrinfo(host, port, &hints, &found);
    if (error)
        *why = gai_strerror(error);
    if (is_directory(host) && room > 0)
        out[count++].ip[0] = '\0';
    for (struct addrinfo *a = found; a && count < room; a = a->ai_next)
        count += getnameinfo(a->ai_addr, a->ai_addrlen, out[count].ip, sizeof out[count].ip, NULL, 0,
                             NI_NUMERICHOST) == 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(out[i].host, sizeof out[i].host, "%s", host);
        snprintf(out[i].port, sizeof out[i].port, "%s", port);
    }
    if (found)
        freeaddrinfo(found);
    return count;
}

size_t db_addresses(const struct db_options *options, struct db_address out[static DB_MAX_ADDRESSES],
                    const char **why) {
    char host[DB_HOST_SIZE], port[DB_PORT_SIZE];
    size_t count = 0;
    for (size_t i = 0; list_item(options->host, i, host, sizeof host); i++) {
        (void)list_item(options->port, i, port, sizeof port);
        count += add_host(host, port, out + count, DB_MAX_ADDRESSES - count, why);
    }
    return count;
}
