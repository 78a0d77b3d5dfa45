/* Comparing entity tags. */
#include "common/http/etag.h"

#include <string.h>

static const char *etag_skip_blanks(const char *text) {
    return text + strspn(text, " \t");
}

bool etag_matches(const char *if_none_match, const char *tag) {
    if (!if_none_match)
        return false;
    const char *at = etag_skip_blanks(if_none_match);
    if (*at == '*')
        return *etag_skip_blanks(at + 1) == '\0';
    for (at += strspn(at, ", \t"); *at; at += strspn(at, ", \t")) {
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
        if (!end)
            return false;
        size_t len = (size_t)(end + 1 - at);
        if (len == strlen(tag) && memcmp(at, tag, len) == 0)
            return true;
        at = end + 1;
    }
    return false;
}
