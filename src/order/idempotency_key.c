/* Reading the Idempotency-Key of a request. */
#include "idempotency_key.h"

#include <string.h>

enum { KEY_MAX = 255 };

static bool is_key(const char *text, size_t len, bool quoted) {
    bool valid = len >= 1 && len <= KEY_MAX;
    for (size_t i = 0; valid && i < len; i++)
        valid = text[i] > ' ' && text[i] <= '~' && text[i] != '"' && !(quoted && text[i] == '\\');
    return valid;
}

bool idempotency_key_read(struct http_request *request, const char **key) {
    unsigned count = http_header_count(request, "Idempotency-Key");
    if (count == 0)
        return true;
    const char *text = http_header(request, "Idempotency-Key");
    size_t len = strlen(text);
    bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';
    text += quoted;
    len -= quoted ? 2 : 0;
    if (count > 1 || !is_key(text, len, quoted)) {
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR,
                           "Send one Idempotency-Key of 1 to %d visible ASCII characters", KEY_MAX);
        return false;
    }
    char *copy = arena_alloc(&request->arena, len + 3);
    if (!copy)
        return false;
    memcpy(copy, "k:", 2);
    memcpy(copy + 2, text, len);
    *key = copy;
    return true;
}
