/* Parsing untrusted JSON, with limits. */
#include "common/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_TEXT_OF(number) #number
#define JSON_TEXT(number) JSON_TEXT_OF(number)

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        static const char words[] = "out of memory while parsing JSON: exiting\n";
        (void)!write(STDERR_FILENO, words, sizeof words - 1); /* no line of the log is written before abort */
        abort();
    }
    return memory;
}

void json_setup(void) {
    json_set_alloc_funcs(allocate, free);
    json_object_seed(0);
}

/* The number that text begins with: how many bytes it has, how many significant digits, and whether it is read as a
 * double. Zeros in front and behind are not significant: they change nothing of what is meant. */
static size_t number_length(const char *text, size_t len, size_t *significant, bool *real) {
    size_t i = 0, zeros = 0;
    bool exponent = false;
    *significant = 0;
    *real = false;
    for (; i < len && text[i] && strchr("0123456789+-.eE", text[i]); i++) {
        exponent |= text[i] == 'e' || text[i] == 'E';
        *real |= exponent || text[i] == '.';
        if (exponent || text[i] < '0' || text[i] > '9')
            continue;
        if (text[i] == '0') {
            zeros += *significant > 0;
        } else {
            *significant += zeros + 1;
            zeros = 0;
        }
    }
    return i;
}

/* What jansson would let pass, or read as something else than what was sent; NULL for nothing. A double tells numbers
 * of 15 digits apart, and no more: of a longer one it is another number that we would check. Brackets that do not
 * match are left to jansson, which stops at the first of them. */
static const char *text_fault(const char *text, size_t len) {
    size_t depth = 0, digits;
    bool in_string = false, real;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if ((c == '{' || c == '[') && ++depth > JSON_MAX_DEPTH)
            return "nested deeper than " JSON_TEXT(JSON_MAX_DEPTH) " levels";
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == '-' || (c >= '0' && c <= '9')) {
            i += number_length(text + i, len - i, &digits, &real) - 1;
            if (real && digits > JSON_MAX_DIGITS)
                return "a number has more than " JSON_TEXT(JSON_MAX_DIGITS) " significant digits";
        }
    }
    return NULL;
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
    const char *fault = text_fault(text, len);
    if (fault) {
        snprintf(error, JSON_ERROR_SIZE, "%s", fault);
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
