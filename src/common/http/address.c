/* IP addresses and networks, and the client behind proxies. */
#include "common/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED = 12 }; /* bytes before the IPv4 address in a mapped one */

static const uint8_t mapped[MAPPED] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct address *address) {
    return memcmp(address->bytes, mapped, MAPPED) == 0;
}

static struct address from_ipv4(const struct in_addr *in) {
    struct address address;
    memcpy(address.bytes, mapped, MAPPED);
    memcpy(address.bytes + MAPPED, in, sizeof *in);
    return address;
}

struct address address_of_socket(const struct sockaddr *socket) {
    struct address address = {0};
    if (socket->sa_family == AF_INET) {
        address = from_ipv4(&((const struct sockaddr_in *)(const void *)socket)->sin_addr);
    } else if (socket->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)socket;
        memcpy(address.bytes, &in6->sin6_addr, sizeof address.bytes);
    }
    return address;
}

bool address_to_listen(const char *text, uint16_t port, struct sockaddr_storage *out, bool *dual) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    *dual = false;
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(out, &in, sizeof in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
        return false;
    memcpy(out, &in6, sizeof in6);
    *dual = IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr) || IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
    return true;
}

void address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]) {
    if (is_ipv4(address))
        inet_ntop(AF_INET, address->bytes + MAPPED, text, ADDRESS_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_SIZE);
}

struct address address_subscriber(const struct address *address) {
    struct address subscriber = *address;
    if (!is_ipv4(address))
        memset(subscriber.bytes + 8, 0, 8);
    return subscriber;
}

static bool parse(const char *text, size_t len, struct address *out) {
    char copy[ADDRESS_TEXT_SIZE];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    struct in_addr in;
    if (inet_pton(AF_INET, copy, &in) != 1)
        return inet_pton(AF_INET6, copy, out->bytes) == 1;
    *out = from_ipv4(&in);
    return true;
}

/* Strips the blanks at both ends. */
static void trim(const char **text, size_t *len) {
    while (*len > 0 && strchr(" \t", **text)) {
        ++*text;
        --*len;
    }
    while (*len > 0 && strchr(" \t", (*text)[*len - 1]))
        --*len;
}

/* ADDRESS or ADDRESS/BITS. */
static bool parse_network(const char *text, size_t len, struct address *address, unsigned *bits) {
    size_t width = len;
    const char *slash = memchr(text, '/', len);
    if (slash)
        width = (size_t)(slash - text);
    if (!parse(text, width, address))
        return false;
    unsigned offset = is_ipv4(address) ? 8 * MAPPED : 0, most = 128 - offset, value = most;
    if (slash) {
        value = 0;
        if (width + 1 == len)
            return false;
        for (size_t i = width + 1; i < len && value <= most; i++) {
            if (text[i] < '0' || text[i] > '9')
                return false;
            value = 10 * value + (unsigned)(text[i] - '0');
        }
    }
    *bits = offset + value;
    return value <= most;
}

bool address_list_parse(const char *text, struct address_list *out) {
    *out = (struct address_list){0};
    if (text[strspn(text, " \t")] == '\0')
        return true;
    for (bool more = true; more;) {
        size_t width = strcspn(text, ","), len = width;
        const char *element = text;
        trim(&element, &len);
        if (out->count == ADDRESS_LIST_MAX ||
            !parse_network(element, len, &out->networks[out->count].address, &out->networks[out->count].bits))
            return false;
        out->count++;
        more = text[width] == ',';
        text += width + 1;
    }
    return true;
}

bool address_list_has(const struct address_list *list, const struct address *address) {
    for (size_t i = 0; i < list->count; i++) {
        unsigned bits = list->networks[i].bits, whole = bits / 8, rest = bits % 8;
        const uint8_t *a = list->networks[i].address.bytes, *b = address->bytes;
        if (memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0))
            return true;
    }
    return false;
}

/* An address as proxies write it. Some add the port, and then put an IPv6 address in brackets. */
static bool parse_hop(const char *text, size_t len, struct address *out) {
    trim(&text, &len);
    const char *end;
    if (len > 0 && *text == '[')
        return (end = memchr(text, ']', len)) && parse(text + 1, (size_t)(end - text - 1), out);
    end = memchr(text, ':', len);
    bool port = end && end == memrchr(text, ':', len);
    return parse(text, port ? (size_t)(end - text) : len, out);
}

struct address address_of_client(const struct address_list *proxies, struct address peer,
                                 const char *const lines[], size_t line_count) {
    struct address client = peer;
    while (line_count-- > 0) {
        const char *line = lines[line_count], *end = line + strlen(line), *comma;
        do { /* from the last to the first */
            comma = memrchr(line, ',', (size_t)(end - line));
            const char *hop = comma ? comma + 1 : line;
            if (!address_list_has(proxies, &client) || !parse_hop(hop, (size_t)(end - hop), &client))
                return client;
            end = comma;
        } while (comma);
    }
    return client;
}
