/* Entity tags (RFC 9110 §8.8.3). Pure. */
#pragma once

#include <stdbool.h>

/* Whether an If-None-Match header (NULL: not sent) matches the tag, which includes its quotes. The comparison is
 * weak. The header may be a list, or "*". What is malformed matches nothing. */
bool etag_matches(const char *if_none_match, const char *tag);
