/* Writing JSON values. */
#include "common/base/json_write.h"

#include "common/base/clock.h"
#include "common/base/money.h"
#include "common/base/uuid.h"

#include <string.h>

/* The letter of the short escape of c, or 0 when it has none. */
static char short_escape(char c) {
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* U+FFFE and U+FFFF are valid in JSON, but SQS refuses messages that contain them. So they are escaped. */
static bool is_noncharacter(const char *text) {
    return strncmp(text, "\xef\xbf\xbe", 3) == 0 || strncmp(text, "\xef\xbf\xbf", 3) == 0;
}

static bool needs_escape(const char *text) {
    unsigned char c = (unsigned char)*text;
    return c < 0x20 || c == '"' || c == '\\' || (c == 0xef && is_noncharacter(text));
}

/* Appends the escape of the first character of text. Returns the length of that character in bytes. */
static size_t append_escaped(struct buf *b, const char *text) {
    char letter = short_escape(*text);
    if (letter)
        buf_append(b, (char[]){'\\', letter}, 2);
    else if ((unsigned char)*text == 0xef)
        buf_str(b, (unsigned char)text[2] == 0xbe ? "\\ufffe" : "\\uffff");
    else
        buf_printf(b, "\\u%04x", (unsigned)*text);
    return (unsigned char)*text == 0xef ? 3 : 1;
}

void json_append_text(struct buf *b, const char *text) {
    buf_char(b, '"');
    while (*text) {
        size_t plain = 0;
        while (text[plain] && !needs_escape(text + plain))
            plain++;
        buf_append(b, text, plain);
        text += plain;
        if (*text)
            text += append_escaped(b, text);
    }
    buf_char(b, '"');
}

void json_append_uuid(struct buf *b, const struct uuid *id) {
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    buf_char(b, '"');
    buf_append(b, text, sizeof text - 1);
    buf_char(b, '"');
}

void json_append_money(struct buf *b, int64_t cents) {
    char text[MONEY_TEXT_SIZE];
    money_format(cents, text);
    buf_str(b, text);
}

void json_append_time(struct buf *b, int64_t epoch_ms) {
    char text[TIME_TEXT_SIZE];
    clock_format(epoch_ms, text);
    buf_char(b, '"');
    buf_str(b, text);
    buf_char(b, '"');
}
