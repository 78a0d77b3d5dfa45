/* Addresses, networks, and who the client is behind proxies. */
#include "common/http/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct address socket_address(const char *text) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_of_socket((const struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_of_socket((const struct sockaddr *)&in6);
}

static void assert_address(struct address address, const char *expected) {
    char text[ADDRESS_TEXT_SIZE];
    address_format(&address, text);
    assert_string_equal(text, expected);
}

static void a_socket_has_an_address(void **state) {
    (void)state;
    assert_address(socket_address("192.0.2.7"), "192.0.2.7");
    assert_address(socket_address("2001:db8::1"), "2001:db8::1");
    assert_address(socket_address("::ffff:192.0.2.7"), "192.0.2.7"); /* one address, however it came */
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_address(address_of_socket(&local), "::");
}

static void an_ipv6_subscriber_is_a_network(void **state) {
    (void)state;
    static const struct {
        const char *address, *subscriber;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"},
        {"2001:db8:1:3::1", "2001:db8:1:3::"},
    };
    for_each_row(i, cases, "%s", cases[i].address) {
        struct address address = socket_address(cases[i].address);
        assert_address(address_subscriber(&address), cases[i].subscriber);
    }
}

/* Whether a proxy of this list is believed, where peer is the one that talks to us. */
static bool believed(const char *list, const char *peer) {
    struct address_list proxies;
    if (!address_list_parse(list, &proxies))
        fail_msg("'%s' was refused", list);
    static const char *const line = "198.51.100.1";
    struct address client = address_of_client(&proxies, socket_address(peer), &line, 1);
    struct address told = socket_address(line);
    return memcmp(&client, &told, sizeof told) == 0;
}

static void a_network_is_matched_by_its_bits(void **state) {
    (void)state;
    static const struct {
        const char *list, *peer;
        bool inside;
    } cases[] = {
        {"", "192.0.2.7", false},
        {"  ", "192.0.2.7", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.9/24", "192.0.2.1", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"10.0.0.0/8,192.0.2.7", "10.255.0.1", true},
        {" 10.0.0.0/8 ,\t192.0.2.7 ", "192.0.2.7", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.9", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8::1/128", "2001:db8::1", true},
        {"::ffff:192.0.2.0/24", "192.0.2.1", true}, /* an IPv4 network in disguise */
    };
    for_each_row(i, cases, "'%s' %s", cases[i].list, cases[i].peer) {
        if (believed(cases[i].list, cases[i].peer) != cases[i].inside)
            fail_msg("'%s' %s", cases[i].list, cases[i].peer);
    }
}

static void malformed_lists_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        ",",
        "192.0.2.7,",
        ",192.0.2.7",
        "192.0.2.7,,10.0.0.1",
        "192.0.2.7 10.0.0.1",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.7/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/a",
        "192.0.2.0/24 8",
        "192.0.2.0/ 8",
        "192.0.2.0/99999999999",
        "::/129",
        "2001:db8",
        "proxy.example",
        "/8",
        "[::1]",
        "192.0.2.7:80",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_list list;
        if (address_list_parse(cases[i], &list))
            fail_msg("'%s' was taken", cases[i]);
    }
}

static void the_longest_list_is_read(void **state) {
    (void)state;
    char text[(ADDRESS_LIST_MAX + 1) * sizeof "10.0.0.0/8,"] = "";
    for (int i = 0; i < ADDRESS_LIST_MAX; i++)
        strcat(text, i ? ",10.0.0.0/8" : "10.0.0.0/8");
    struct address_list list;
    assert_true(address_list_parse(text, &list));
    assert_int_equal(list.count, ADDRESS_LIST_MAX);
    strcat(text, ",10.0.0.0/8");
    assert_false(address_list_parse(text, &list));
}

/* The proxies are 10.0.0.0/8 and 2001:db8::/32. */
static void the_client_is_the_last_that_is_no_proxy(void **state) {
    (void)state;
    static const struct {
        const char *peer, *lines[3], *client;
    } cases[] = {
        {"192.0.2.7", {NULL}, "192.0.2.7"},
        {"192.0.2.7", {"203.0.113.1"}, "192.0.2.7"}, /* anybody may claim that */
        {"10.0.0.1", {NULL}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.1"}, "203.0.113.1"},
        {"10.0.0.1",
         {"198.51.100.1, 203.0.113.1"},
         "203.0.113.1"}, /* the proxy has it from .1; .1 says the rest */
        {"10.0.0.1", {"10.1.1.1, 203.0.113.1"}, "203.0.113.1"}, /* which may be a lie */
        {"10.0.0.1", {"198.51.100.1, 203.0.113.1, 10.0.0.2"}, "203.0.113.1"},
        {"10.0.0.1",
         {"198.51.100.1", "203.0.113.1"},
         "203.0.113.1"}, /* a proxy may begin a line of its own */
        {"10.0.0.1", {"198.51.100.1", "203.0.113.1", "10.0.0.2"}, "203.0.113.1"},
        {"10.0.0.1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"}, /* a client in our own house */
        {"10.0.0.1", {"203.0.113.1,10.0.0.2"}, "203.0.113.1"},
        {"10.0.0.1", {" \t203.0.113.1 \t"}, "203.0.113.1"},
        {"10.0.0.1", {"203.0.113.1:4711"}, "203.0.113.1"},
        {"10.0.0.1", {"2001:db8:1::1, 2001:db9::1"}, "2001:db9::1"},
        {"10.0.0.1", {"[2001:db9::1]:4711"}, "2001:db9::1"},
        {"10.0.0.1", {"[2001:db9::1]"}, "2001:db9::1"},
        {"2001:db8::5", {"203.0.113.1"}, "203.0.113.1"},
        {"10.0.0.1", {""}, "10.0.0.1"}, /* what cannot be read ends the chain */
        {"10.0.0.1", {"unknown"}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.1, unknown"}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.1, unknown, 10.0.0.2"}, "10.0.0.2"},
        {"10.0.0.1", {"203.0.113.1,"}, "10.0.0.1"},
        {"10.0.0.1", {"[2001:db9::1"}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.1:1:2"}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.1203.0.113.1203.0.113.1203.0.113.1203.0.113.1"}, "10.0.0.1"},
    };
    struct address_list proxies;
    assert_true(address_list_parse("10.0.0.0/8,2001:db8::/32", &proxies));
    for_each_row(i, cases, "%s, of %s", cases[i].peer, cases[i].lines[0] ? cases[i].lines[0] : "nobody") {
        size_t lines = 0;
        while (lines < 3 && cases[i].lines[lines])
            lines++;
        assert_address(address_of_client(&proxies, socket_address(cases[i].peer), cases[i].lines, lines),
                       cases[i].client);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_has_an_address),
        cmocka_unit_test(an_ipv6_subscriber_is_a_network),
        cmocka_unit_test(a_network_is_matched_by_its_bits),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(the_longest_list_is_read),
        cmocka_unit_test(the_client_is_the_last_that_is_no_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
