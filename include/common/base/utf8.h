/* UTF-8 (RFC 3629). Pure. */
#pragma once

#include <stdbool.h>

/* Whether text is well-formed UTF-8. */
bool utf8_valid(const char *text);
