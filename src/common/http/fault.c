/* Collecting the faults of a request's body or query. */
#include "common/base/json_write.h"
#include "common/http/reply.h"

#include <string.h>

enum { MAX_FAULTS_SHOWN = 50 };

/* Appends a member's name to a JSON pointer (RFC 6901). */
static void append_member(struct buf *pointer, const char *name) {
    buf_char(pointer, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            buf_str(pointer, *name == '~' ? "~0" : "~1");
        else
            buf_char(pointer, *name);
    }
}

void http_fault(struct http_faults *faults, const char *parent, const char *member, const char *format, ...) {
    if (faults->count++ >= MAX_FAULTS_SHOWN)
        return;
    struct buf pointer = {0}, detail = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    buf_str(&pointer, parent);
    if (member)
        append_member(&pointer, member);
    const char *where = pointer.data ? pointer.data : "", *what = detail.data ? detail.data : "";
    if (faults->count == 1)
        buf_printf(&faults->first, "%s%s%s", where, *where ? ": " : "", what);
    buf_str(&faults->json, faults->count > 1 ? ",{\"pointer\":" : "{\"pointer\":");
    json_append_text(&faults->json, where);
    buf_str(&faults->json, ",\"detail\":");
    json_append_text(&faults->json, what);
    buf_char(&faults->json, '}');
    faults->json.failed |= pointer.failed || detail.failed;
    buf_free(&pointer);
    buf_free(&detail);
}

void http_fault_unknown(struct http_faults *faults, json_t *object, const char *parent,
                        const char *const known[]) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            http_fault(faults, parent, name, "is not a known member");
    }
}

void http_faults_free(struct http_faults *faults) {
    buf_free(&faults->json);
    buf_free(&faults->first);
    *faults = (struct http_faults){0};
}
