/* Entity tags (RFC 9110 §8.8.3). Pure. */
#pragma once

#include <stdbool.h>

/* Whether an If-None-Match (NULL: not sent) names the tag, which is in its quotes: weak comparison, any of a
 * list, or "*". What cannot be read names nothing. */
bool etag_matches(const char *if_none_match, const char *tag);
