/* Parsing untrusted JSON, with limits. */
#include "common/base/json.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        log_error(NULL, "out of memory while parsing JSON");
        abort();
    }
    return memory;
}

void json_setup(void) {
    json_set_alloc_funcs(allocate, free);
    json_object_seed(0);
}

/* Whether brackets are nested at most JSON_MAX_DEPTH deep. Mismatched brackets are left to the parser, which stops
 * at the first one. */
static bool depth_ok(const char *text, size_t len) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string && c == '\\')
            i++;
        else if (!in_string && (c == '{' || c == '[') && ++depth > JSON_MAX_DEPTH)
            return false;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

/* jansson's reason quotes the input, and may cut it in the middle of a character. */
static void make_printable(char *text) {
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

json_t *json_parse_object(const char *text, size_t len, char error[static JSON_ERROR_SIZE]) {
    if (len == 0) {
        snprintf(error, JSON_ERROR_SIZE, "the document is empty");
        return NULL;
    }
    if (!depth_ok(text, len)) {
        snprintf(error, JSON_ERROR_SIZE, "nested deeper than %d levels", JSON_MAX_DEPTH);
        return NULL;
    }
    json_error_t reason;
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &reason);
    if (!document) {
        snprintf(error, JSON_ERROR_SIZE, "line %d, column %d: %s", reason.line, reason.column, reason.text);
        make_printable(error);
        return NULL;
    }
    if (!json_is_object(document)) {
        json_decref(document);
        snprintf(error, JSON_ERROR_SIZE, "the document is not an object");
        return NULL;
    }
    return document;
}

const char *json_member_string(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

bool json_text_plain(const char *text, size_t max) {
    const unsigned char *c = (const unsigned char *)text;
    size_t characters = 0;
    for (; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
            return false;
        characters += (*c & 0xc0) != 0x80; /* one byte per character is not a continuation byte */
    }
    return characters >= 1 && characters <= max;
}
