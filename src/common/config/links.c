/* Variables that look like settings, but that Kubernetes wrote: for a service called redis it gives each container
 * REDIS_PORT=tcp://10.96.0.5:6379, and for one called order ORDER_SERVICE_PORT=80 and ORDER_PORT=tcp://10.96.0.7:80. */
#include "private.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool is_link(const char *value) {
    return value && (strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0 ||
                     strncmp(value, "sctp://", 7) == 0);
}

bool config_is_service_link(const char *name, const char *value, const char *(*lookup)(const char *name)) {
    static const char end[] = "_SERVICE_PORT";
    char sibling[64], port[16];
    if (!value || !ends_with(name, "_PORT"))
        return false;
    if (is_link(value))
        return true;
    if (!ends_with(name, end) || strlen(value) > 5)
        return false;
    snprintf(sibling, sizeof sibling, "%.*s_PORT", (int)(strlen(name) - strlen(end)), name);
    snprintf(port, sizeof port, ":%s", value);
    return is_link(lookup(sibling)) && ends_with(lookup(sibling), port);
}
