/* Reading the settings of tracing: the collector's URL, lists of pairs, ratios. */
#include "private.h"

#include "common/base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool tracing_url_is_valid(const char *url) {
    static const char host_characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    const char *host = "";
    if (strncmp(url, "http://", 7) == 0)
        host = url + 7;
    else if (strncmp(url, "https://", 8) == 0)
        host = url + 8;
    size_t len = strspn(host, host_characters);
    if (len == 0 || (host[len] && host[len] != '/'))
        return false;
    for (const char *at = host + len; *at; at++)
        if (*at <= ' ' || *at > '~' || strchr("?#\"<>\\^`{|}", *at))
            return false;
    return true;
}

bool tracing_parse_ratio(const char *text, double *ratio) {
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    if (text[strspn(text, "0123456789.eE-+")]) /* no hexadecimal numbers */
        return false;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || value < 0 || value > 1)
        return false;
    *ratio = value;
    return true;
}

static int pair_digit(char c) {
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Copies len bytes without the blanks around them, with %XX decoded. False when they do not fit, or are no plain text. */
static bool decode(const char *text, size_t len, char *out, size_t size) {
    size_t n = 0;
    while (len > 0 && strchr(" \t", text[len - 1]))
        len--;
    size_t i = 0;
    while (i < len && strchr(" \t", text[i]))
        i++;
    for (; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? pair_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? pair_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (n + 1 >= size || c < ' ' || c == 0x7f)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return utf8_valid(out);
}

bool tracing_next_pair(const char **at, struct pair *out) {
    const char *text = *at + strspn(*at, " \t,");
    *at = text;
    if (!*text)
        return false;
    size_t len = strcspn(text, ",");
    const char *equals = memchr(text, '=', len);
    *at = text + len;
    if (equals && decode(text, (size_t)(equals - text), out->key, sizeof out->key) && *out->key &&
        !strpbrk(out->key, " :;\"\\/()<>?@[]{}") &&
        decode(equals + 1, len - (size_t)(equals + 1 - text), out->value, sizeof out->value))
        return true;
    *at = NULL;
    return false;
}

bool tracing_pairs_are_valid(const char *text) {
    struct pair pair;
    while (tracing_next_pair(&text, &pair))
        ;
    return text;
}

bool tracing_resource_value(const char *list, const char *key, char *out, size_t size) {
    struct pair pair;
    while (tracing_next_pair(&list, &pair)) {
        if (strcmp(pair.key, key) != 0)
            continue;
        snprintf(out, size, "%s", pair.value);
        return true;
    }
    return false;
}

bool tracing_url(const struct tracing_options *options, struct buf *out) {
    if (*options->traces_endpoint) {
        buf_str(out, options->traces_endpoint);
    } else if (*options->endpoint) {
        size_t len = strlen(options->endpoint);
        buf_append(out, options->endpoint, len - (options->endpoint[len - 1] == '/'));
        buf_str(out, "/v1/traces");
    }
    return out->len > 0 && !out->failed;
}
