/* Which pages of other origins a browser lets read our answers (CORS, the Fetch standard). */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"

#include <stdbool.h>

/* Whether the list (separated by commas, with blanks around them; "": none) consists of origins as a browser sends them:
 * scheme://host[:port]. If not, adds to fault what is wrong with the first bad one, as half a sentence. Any thread. */
bool cors_origins_valid(const char *list, struct buf *fault) MUST_CHECK;

/* Whether a valid list has this origin. Any thread. */
bool cors_origin_listed(const char *list, const char *origin);
