/* Spans as protocol buffers (opentelemetry/proto/trace/v1/trace.proto). */
#include "private.h"

#include "common/base/utf8.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */
enum { MAX_VARINT = 10, MAX_TEXT = 255 };
enum { FLAG_KNOWS_REMOTE = 0x100, FLAG_REMOTE = 0x200, STATUS_ERROR = 2 };

static void put(struct encoder *e, const void *data, size_t len) {
    if (e->failed || len > e->size - e->len) {
        e->failed = true;
        return;
    }
    memcpy(e->data + e->len, data, len);
    e->len += len;
}

static size_t make_varint(uint64_t value, uint8_t out[static MAX_VARINT]) {
    size_t len = 0;
    for (; value > 0x7f; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

static void put_varint(struct encoder *e, uint64_t value) {
    uint8_t bytes[MAX_VARINT];
    put(e, bytes, make_varint(value, bytes));
}

static void put_tag(struct encoder *e, unsigned field, unsigned type) {
    put_varint(e, field << 3 | type);
}

static void encode_number(struct encoder *e, unsigned field, uint64_t value) {
    put_tag(e, field, VARINT);
    put_varint(e, value);
}

/* Little-endian, as all that is fixed. */
static void encode_fixed(struct encoder *e, unsigned field, uint64_t value, size_t len) {
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    put_tag(e, field, len == 8 ? FIXED64 : FIXED32);
    put(e, bytes, len);
}

void encode_head(struct encoder *e, unsigned field, size_t len) {
    put_tag(e, field, BYTES);
    put_varint(e, len);
}

void encode_bytes(struct encoder *e, unsigned field, const void *data, size_t len) {
    encode_head(e, field, len);
    put(e, data, len);
}

/* The length is written when it is known. */
size_t encode_open(struct encoder *e, unsigned field) {
    put_tag(e, field, BYTES);
    return e->len;
}

void encode_close(struct encoder *e, size_t opened) {
    uint8_t bytes[MAX_VARINT];
    size_t len = e->len - opened, size = make_varint(len, bytes);
    put(e, bytes, size); /* makes room */
    if (e->failed)
        return;
    memmove(e->data + opened + size, e->data + opened, len);
    memcpy(e->data + opened, bytes, size);
}

/* Texts must be UTF-8: a request with any other is refused as a whole. */
static void encode_text(struct encoder *e, unsigned field, const char *text) {
    size_t len = strlen(text);
    if (!utf8_valid(text))
        len = 0;
    if (len > MAX_TEXT) {
        len = MAX_TEXT;
        while (len > 0 && (text[len] & 0xc0) == 0x80)
            len--;
    }
    encode_bytes(e, field, text, len);
}

void encode_attribute(struct encoder *e, unsigned field, const struct span_attribute *attribute) {
    size_t pair = encode_open(e, field);
    encode_text(e, 1, attribute->key);
    size_t value = encode_open(e, 2);
    if (attribute->text)
        encode_text(e, 1, attribute->text);
    else
        encode_number(e, 3, (uint64_t)attribute->number);
    encode_close(e, value);
    encode_close(e, pair);
}

static uint8_t digit(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* An id, of len bytes, from its hexadecimal digits. */
static void encode_id(struct encoder *e, unsigned field, const char *digits, size_t len) {
    uint8_t bytes[16];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(digit(digits[2 * i]) << 4 | digit(digits[2 * i + 1]));
    encode_bytes(e, field, bytes, len);
}

static unsigned flags_of(const char *traceparent) {
    return (unsigned)(digit(traceparent[53]) << 4 | digit(traceparent[54]));
}

static void encode_link(struct encoder *e, const char *trace) {
    size_t link = encode_open(e, 13);
    encode_id(e, 1, trace + 3, 16);
    encode_id(e, 2, trace + 36, 8);
    if (*trace_state(trace))
        encode_text(e, 3, trace_state(trace));
    encode_fixed(e, 6, flags_of(trace), 4);
    encode_close(e, link);
}

static void encode_links(struct encoder *e, const char *const links[], size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (trace_is_recorded(links[i]) && count++ < SPAN_MAX_LINKS)
            encode_link(e, links[i]);
    if (count > SPAN_MAX_LINKS)
        encode_number(e, 14, count - SPAN_MAX_LINKS);
}

size_t span_encode(const struct span *span, const struct span_details *details, int64_t end_ns,
                   uint8_t out[static SPAN_MAX_BYTES]) {
    struct encoder e = {.data = out, .size = SPAN_MAX_BYTES};
    size_t opened = encode_open(&e, 2);
    encode_id(&e, 1, span->traceparent + 3, 16);
    encode_id(&e, 2, span->traceparent + 36, 8);
    if (*span->state)
        encode_bytes(&e, 3, span->state, strlen(span->state));
    if (*span->parent_id)
        encode_id(&e, 4, span->parent_id, 8);
    encode_text(&e, 5, details->name);
    encode_number(&e, 6, span->kind);
    encode_fixed(&e, 7, (uint64_t)span->start_ns, 8);
    encode_fixed(&e, 8, (uint64_t)end_ns, 8);
    for (size_t i = 0; i < details->attribute_count; i++)
        encode_attribute(&e, 9, &details->attributes[i]);
    if (details->error)
        encode_attribute(&e, 9, &SPAN_TEXT("error.type", details->error));
    encode_links(&e, details->links, details->link_count);
    if (details->error) {
        size_t status = encode_open(&e, 15);
        encode_number(&e, 3, STATUS_ERROR);
        encode_close(&e, status);
    }
    unsigned remote = span->remote ? FLAG_REMOTE : 0;
    encode_fixed(&e, 16, flags_of(span->traceparent) | FLAG_KNOWS_REMOTE | remote, 4);
    encode_close(&e, opened);
    return e.failed ? 0 : e.len;
}

struct reader { /* of a message; at becomes NULL when it is damaged */
    const uint8_t *at, *end;
};

static uint64_t read_varint(struct reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; r->at && shift < 64; shift += 7) {
        if (r->at == r->end)
            break;
        value |= (uint64_t)(*r->at & 0x7f) << shift;
        if (!(*r->at++ & 0x80))
            return value;
    }
    r->at = NULL;
    return 0;
}

/* Finds a field of this type. Of a number *value is the number, of bytes r is left at them and *value is their length. */
static bool find_field(struct reader *r, unsigned field, unsigned type, uint64_t *value) {
    *value = 0;
    while (r->at && r->at < r->end) {
        uint64_t tag = read_varint(r), skip = 0;
        switch (tag & 7) {
        case VARINT:
            *value = read_varint(r);
            break;
        case BYTES:
            *value = skip = read_varint(r);
            break;
        case FIXED64:
            skip = 8;
            break;
        case FIXED32:
            skip = 4;
            break;
        default:
            return false;
        }
        if (!r->at || skip > (uint64_t)(r->end - r->at))
            return false;
        if (tag == (field << 3 | type))
            return true;
        r->at += skip;
    }
    return false;
}

int64_t response_rejected(const uint8_t *data, size_t len) {
    struct reader r = {data, data + len};
    uint64_t size, rejected;
    if (len == 0 || !find_field(&r, 1, BYTES, &size) || size > (uint64_t)(r.end - r.at))
        return 0;
    r.end = r.at + size;
    return find_field(&r, 1, VARINT, &rejected) ? (int64_t)rejected : 0;
}
