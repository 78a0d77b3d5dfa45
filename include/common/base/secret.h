/* The secret of a part: a text, or a file that may be replaced at any time. Whoever uses it reads it anew. */
#pragma once

#include "common/base/attributes.h"

#define SECRET_SIZE 4097 /* maximum length of a secret, and its end */

struct secret_source { /* strings are borrowed */
    const char *text;  /* as it was at the start; "" or NULL: none */
    const char *path;  /* of the file it was read from; "" or NULL: it does not change */
};

/* The secret of this moment: what the file says, or the text when it cannot be read. Points to out or to the text, and
 * is never NULL. */
const char *secret_now(const struct secret_source *secret, char out[static SECRET_SIZE]);

/* Reads a file without its trailing line break. Returns NULL, or the reason why it cannot be used. */
const char *secret_read(const char *path, char out[static SECRET_SIZE]) MUST_CHECK;
