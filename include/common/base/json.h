/* Parsing untrusted JSON, with limits, into jansson values; reading their members. */
#pragma once

#include "common/base/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_MAX_DEPTH 32  /* jansson's parser recurses; our documents need 4 */
#define JSON_MAX_DIGITS 15 /* significant, of a number with a fraction or an exponent: DBL_DIG */
#define JSON_ERROR_SIZE 256

/* Sets jansson up. Call once in main before any thread starts. From then on the process aborts when jansson runs
 * out of memory. Otherwise its parser would skip the character that it has no memory for, and no order is better
 * than an order with a wrong price. */
void json_setup(void);

/* Parses a whole document, which must be an object. Refuses duplicate keys, NUL characters, trailing text, invalid
 * UTF-8, nesting beyond JSON_MAX_DEPTH, and numbers that a double would round (JSON_MAX_DIGITS). On failure returns
 * NULL, with the reason in error: one printable line, safe to show the caller. The caller owns the result
 * (json_decref). */
json_t *json_parse_object(const char *text, size_t len, char error[static JSON_ERROR_SIZE]) MUST_CHECK;

/* The string member, or NULL when it is missing or not a string. Borrowed from object. */
const char *json_member_string(const json_t *object, const char *name);

/* Whether text has 1 to max UTF-8 characters and no control character (U+0000 to 1F, 7F to 9F). */
bool json_text_plain(const char *text, size_t max);
