/* JSON from outside: parsed with bounds, and read member by member. jansson values are the vocabulary. */
#pragma once

#include "common/base/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_MAX_DEPTH 32 /* jansson's parser recurses; our documents need 4 */
#define JSON_ERROR_SIZE 256

/* Sets jansson up: call once in main before any thread starts. From then on the process ends where jansson
 * runs out of memory: its parser goes on without the character it had no room for, and no order is better
 * than one with another price. */
void json_setup(void);

/* Parses a whole document: an object. Duplicate keys, NUL characters, trailing text, invalid UTF-8 and
 * nesting beyond JSON_MAX_DEPTH are refused. NULL on failure with the reason (one line, printable, safe to
 * show the caller) in error. The caller owns the result (json_decref). */
json_t *json_parse_object(const char *text, size_t len, char error[static JSON_ERROR_SIZE]) MUST_CHECK;

/* The string member, or NULL when it is missing or no string. Borrowed from object. */
const char *json_member_string(const json_t *object, const char *name);

/* Whether text has 1 to max characters (of UTF-8), none of them a control character (U+0000 to 1F, 7F to 9F).
 */
bool json_text_plain(const char *text, size_t max);
