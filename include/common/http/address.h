/* IP addresses: who sent a request, behind proxies or not. Pure. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */
#define ADDRESS_LIST_MAX 32

struct sockaddr;

struct address { /* IPv6; an IPv4 address is one of ::ffff:0:0/96 */
    uint8_t bytes[16];
};

struct address_list { /* of networks */
    struct {
        struct address address;
        unsigned bits; /* that all of the network share */
    } networks[ADDRESS_LIST_MAX];
    size_t count;
};

/* All zero where the socket is neither IPv4 nor IPv6. */
struct address address_of_socket(const struct sockaddr *socket);

void address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);

/* What one customer of a provider has: an IPv4 address, or the /64 of an IPv6 address. */
struct address address_subscriber(const struct address *address);

/* Reads addresses and networks (CIDR), separated by commas: "10.0.0.0/8, 2001:db8::1". An empty text is an
 * empty list. False when it is malformed, or too long. */
bool address_list_parse(const char *text, struct address_list *out) MUST_CHECK;

/* The client of a request that came from peer. If that is none of the proxies, it is the client. Else the one
 * that the proxies say it is, in the lines of X-Forwarded-For: each proxy adds whom it had the request from
 * at the end, so the last that is no proxy is the client, and what stands before is only what it says. */
struct address address_of_client(const struct address_list *proxies, struct address peer,
                                 const char *const lines[], size_t line_count);
