/* Which addresses a stranger may name: each special network at its first and last address, and what is next to it. */
#include "common/http/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "fakes/rows.h"

static struct address address_from(const char *text) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_of_socket((const struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_of_socket((const struct sockaddr *)&in6);
}

static void special_addresses_are_not_public(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "0.255.255.255", /* this network */
        "10.0.0.0",
        "10.255.255.255", /* private */
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255", /* CGNAT, a cloud's metadata in it */
        "127.0.0.1",
        "127.255.255.255", /* loopback */
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255", /* metadata, link-local */
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255", /* private */
        "192.0.0.0",
        "192.0.0.192",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "100::1",
        "2001::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "5f00::1",
        "4000::1",
        "1fff::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", /* mapped */
        "::127.0.0.1",
        "::93.184.215.14", /* compatible, which nobody uses */
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.1.2.3",
        "64:ff9b:1::1", /* NAT64 */
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::1", /* 6to4 */
    };
    for_each_row(i, texts, "%s", texts[i]) {
        struct address address = address_from(texts[i]);
        assert_false(address_is_public(&address));
    }
}

static void other_addresses_are_public(void **state) {
    (void)state;
    static const char *const texts[] = {
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "93.184.215.14",
        "::ffff:93.184.215.14",
        "64:ff9b::93.184.215.14",
        "2002:5db8:d70e::1",
        "2001:200::1",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "3fff:1000::1",
    };
    for_each_row(i, texts, "%s", texts[i]) {
        struct address address = address_from(texts[i]);
        assert_true(address_is_public(&address));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses_are_not_public),
        cmocka_unit_test(other_addresses_are_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
