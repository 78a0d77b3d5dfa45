/* Reading a tracestate (W3C Trace Context §3.3): a list of key=value entries, the newest first. */
#include "common/base/trace.h"

#include <string.h>

enum {
    MAX_ENTRIES = 32,
    MAX_KEY = 256,
    MAX_VALUE = 256,
    LONG_ENTRY = 128, /* leaves first when there is too much */
};

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

struct entry {
    const char *text;
    size_t len;
};

static bool is_value(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '=')
            return false;
    return len > 0 && len <= MAX_VALUE;
}

static bool is_entry(const struct entry *entry) {
    const char *equals = memchr(entry->text, '=', entry->len);
    size_t key = equals ? (size_t)(equals - entry->text) : 0;
    return key > 0 && key <= MAX_KEY && strchr(LETTERS_AND_DIGITS, entry->text[0]) &&
           strspn(entry->text, LETTERS_AND_DIGITS "_-*/@") == key &&
           is_value(equals + 1, entry->len - key - 1);
}

/* Takes the next element of the list, without the blanks around it. It may be empty. */
static struct entry next_entry(const char **at) {
    const char *start = *at + strspn(*at, " \t");
    size_t len = strcspn(*at, ",");
    const char *end = *at + len;
    *at = *end ? end + 1 : end;
    if (start > end)
        start = end;
    while (end > start && strchr(" \t", end[-1]))
        end--;
    return (struct entry){start, (size_t)(end - start)};
}

/* The number of entries; 0 when one is invalid, or there are too many. */
static size_t read_entries(const char *text, struct entry entries[static MAX_ENTRIES], size_t *total) {
    size_t count = 0;
    *total = 0;
    while (*text) {
        struct entry entry = next_entry(&text);
        if (entry.len == 0)
            continue; /* the list may have empty elements */
        if (count == MAX_ENTRIES || !is_entry(&entry))
            return 0;
        entries[count++] = entry;
        *total += entry.len + 1;
    }
    return count;
}

void trace_state_clean(const char *text, char out[static TRACESTATE_SIZE]) {
    struct entry entries[MAX_ENTRIES];
    size_t total, len = 0, count = read_entries(text, entries, &total);
    for (size_t i = 0; i < count; i++) {
        if (total > TRACESTATE_SIZE && entries[i].len > LONG_ENTRY)
            continue;
        if (len + (len > 0) + entries[i].len >= TRACESTATE_SIZE)
            break;
        if (len > 0)
            out[len++] = ',';
        memcpy(out + len, entries[i].text, entries[i].len);
        len += entries[i].len;
    }
    out[len] = '\0';
}
