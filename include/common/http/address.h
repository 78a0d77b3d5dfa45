/* IP addresses, and the client of a request that came through proxies. Pure. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */
#define ADDRESS_LIST_MAX 32

struct sockaddr;
struct sockaddr_storage;

struct address { /* IPv6; an IPv4 address is mapped to ::ffff:0:0/96 */
    uint8_t bytes[16];
};

struct address_list { /* a list of networks */
    struct {
        struct address address;
        unsigned bits; /* length of the prefix */
    } networks[ADDRESS_LIST_MAX];
    size_t count;
};

/* The address of a socket. All zero if it is neither IPv4 nor IPv6. */
struct address address_of_socket(const struct sockaddr *socket);

/* The socket address to listen on: an IPv4 or IPv6 address, without brackets and zone. *dual receives whether it also
 * stands for IPv4 addresses, as "::" does. False when the text is none. */
bool address_to_listen(const char *text, uint16_t port, struct sockaddr_storage *out, bool *dual) MUST_CHECK;

void address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);

/* The part of an address that identifies a customer of a provider: an IPv4 address, or the /64 of an IPv6
 * address. */
struct address address_subscriber(const struct address *address);

/* Reads addresses and networks (CIDR), separated by commas: "10.0.0.0/8, 2001:db8::1". Empty text is an empty list.
 * False when the text is malformed, or has more than ADDRESS_LIST_MAX elements. */
bool address_list_parse(const char *text, struct address_list *out) MUST_CHECK;

/* Whether one of the networks has the address. */
bool address_list_has(const struct address_list *list, const struct address *address);

/* Whether an address is of a host in the internet, so that a stranger may name it: not of this machine, of a private or
 * special network, of a cloud's metadata, or of a group of hosts. An IPv6 address that stands for an IPv4 address (mapped,
 * NAT64, 6to4) is what that address is. */
bool address_is_public(const struct address *address);

/* The client of a request that came from peer. A peer that is not a proxy is the client. Otherwise the lines of
 * X-Forwarded-For tell: each proxy appends the address from which it received the request. So the last address that
 * is not a proxy is the client, and the addresses before it are only what that client claims. If an address is
 * malformed, the proxy that appended it counts as the client. */
struct address address_of_client(const struct address_list *proxies, struct address peer,
                                 const char *const lines[], size_t line_count);
