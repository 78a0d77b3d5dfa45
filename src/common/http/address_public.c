/* Which addresses are of the internet: the special ones are those of the IANA registries (RFC 6890). */
#include "common/http/address.h"

#include <endian.h>
#include <string.h>

#define IPV4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct {
    uint32_t network;
    unsigned bits;
} special_ipv4[] = {
    {IPV4(0, 0, 0, 0), 8},        /* this network */
    {IPV4(10, 0, 0, 0), 8},       /* private */
    {IPV4(100, 64, 0, 0), 10},    /* behind the NAT of a provider; metadata of Alibaba Cloud */
    {IPV4(127, 0, 0, 0), 8},      /* this machine */
    {IPV4(168, 63, 129, 16), 32}, /* metadata of Azure */
    {IPV4(169, 254, 0, 0), 16},   /* this link; metadata of AWS, Azure, Google and others */
    {IPV4(172, 16, 0, 0), 12},    /* private */
    {IPV4(192, 0, 0, 0), 24},     /* protocols; metadata of Oracle Cloud */
    {IPV4(192, 0, 2, 0), 24},     /* documentation */
    {IPV4(192, 88, 99, 0), 24},   /* relays of 6to4 */
    {IPV4(192, 168, 0, 0), 16},   /* private */
    {IPV4(198, 18, 0, 0), 15},    /* measurements */
    {IPV4(198, 51, 100, 0), 24},  /* documentation */
    {IPV4(203, 0, 113, 0), 24},   /* documentation */
    {IPV4(224, 0, 0, 0), 3},      /* groups, reserved, broadcast */
};

/* Within 2000::/3. Other IPv6 addresses are not of the internet at all. */
static const struct {
    uint8_t network[4];
    unsigned bits;
} special_ipv6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocols; Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

static bool has_prefix(uint32_t address, uint32_t network, unsigned bits) {
    return (address ^ network) >> (32 - bits) == 0;
}

static uint32_t read32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static bool is_public_ipv4(uint32_t address) {
    for (size_t i = 0; i < sizeof special_ipv4 / sizeof *special_ipv4; i++)
        if (has_prefix(address, special_ipv4[i].network, special_ipv4[i].bits))
            return false;
    return true;
}

bool address_is_public(const struct address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0x00, 0x64, 0xff, 0x9b},
                         sixtofour[2] = {0x20, 0x02};
    const uint8_t *bytes = address->bytes;
    if (memcmp(bytes, mapped, sizeof mapped) == 0 || memcmp(bytes, nat64, sizeof nat64) == 0)
        return is_public_ipv4(read32(bytes + 12));
    if (memcmp(bytes, sixtofour, sizeof sixtofour) == 0)
        return is_public_ipv4(read32(bytes + 2));
    for (size_t i = 0; i < sizeof special_ipv6 / sizeof *special_ipv6; i++)
        if (has_prefix(read32(bytes), read32(special_ipv6[i].network), special_ipv6[i].bits))
            return false;
    return bytes[0] >> 5 == 1;
}
