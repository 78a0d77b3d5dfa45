/* Which URLs and addresses may be called. */
#include "common/callout/callout.h"

#include "common/http/address.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_FIRST_FREE = 1024 };

static bool address_allowed(const struct callout_policy *policy, const struct address *address) {
    return address_is_public(address) || address_list_has(policy->allowed, address);
}

bool callout_allows(const struct callout_policy *policy, const struct sockaddr *address) {
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return false;
    struct address ip = address_of_socket(address);
    return address_allowed(policy, &ip);
}

/* libcurl writes an IPv4 address in its usual form, however it was written, and an IPv6 address in brackets. */
static bool host_allowed(const struct callout_policy *policy, const char *host) {
    struct address_list literal;
    char text[64];
    size_t len = strlen(host);
    if (*host == '[' && len > 2 && len < sizeof text) {
        memcpy(text, host + 1, len - 2);
        text[len - 2] = '\0';
        host = text;
    }
    bool is_address = !strpbrk(host, ",/ ") && address_list_parse(host, &literal) && literal.count == 1;
    return !is_address || address_allowed(policy, &literal.networks[0].address);
}

/* The part of a URL; "" when it has none. The caller frees it with curl_free. */
static char *part_of(CURLU *url, CURLUPart part, unsigned flags) {
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool port_allowed(CURLU *url) {
    char *text = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    long port = text ? strtol(text, NULL, 10) : 0;
    curl_free(text);
    return port == PORT_HTTP || port == PORT_HTTPS || (port >= PORT_FIRST_FREE && port <= 65535);
}

static const char *fault_of(CURLU *url, const char *text, const struct callout_policy *policy) {
    /* libcurl knows more protocols, and guesses one that is missing. */
    bool https = strncasecmp(text, "https://", 8) == 0, http = strncasecmp(text, "http://", 7) == 0;
    if (!https && (policy->https_only || !http))
        return policy->https_only ? "be an https:// URL" : "be an http:// or https:// URL";
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
        return "be a valid URL";
    char *user = part_of(url, CURLUPART_USER, 0), *password = part_of(url, CURLUPART_PASSWORD, 0);
    char *zone = part_of(url, CURLUPART_ZONEID, 0), *fragment = part_of(url, CURLUPART_FRAGMENT, 0);
    char *host = part_of(url, CURLUPART_HOST, 0);
    const char *fault = NULL;
    if (user || password)
        fault = "have no user name or password";
    else if (fragment)
        fault = "have no fragment (#)";
    else if (!host || zone)
        fault = "have a host";
    else if (!port_allowed(url))
        fault = "have port 80, port 443, or one from 1024 on";
    else if (!host_allowed(policy, host))
        fault = "not lead to a private or special address";
    curl_free(user);
    curl_free(password);
    curl_free(zone);
    curl_free(fragment);
    curl_free(host);
    return fault;
}

const char *callout_url_fault(const char *url, const struct callout_policy *policy) {
    size_t len = strlen(url);
    if (len == 0 || len > CALLOUT_URL_MAX)
        return "have 1 to 2048 characters";
    for (size_t i = 0; i < len; i++)
        if (url[i] <= ' ' || url[i] > '~')
            return "consist of visible ASCII characters; others are written as %XX, or in a name as xn--";
    CURLU *parsed = curl_url();
    const char *fault = parsed ? fault_of(parsed, url, policy) : "be tried again: out of memory";
    curl_url_cleanup(parsed);
    return fault;
}
