/* What the OAuth endpoints read (RFC 6749): parameters, client credentials and scopes. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/digest.h"
#include "common/token/token.h"

#include <jansson.h>
#include <stdbool.h>

#define SCOPES_KNOWN                                                                                         \
    "order:create order:read order:read:all delivery:read delivery:read:all delivery:write token:introspect" \
    " token:revoke webhook:manage"

/* The parameters of a body. A parameter that was not sent, or has no value (§3.2), is NULL. Strings belong to the
 * body or to json. */
struct oauth_params { /* zero-initialise */
    const char *grant_type, *scope, *client_id, *client_secret, *token;
    json_t *json;
};

/* Reads a form or a JSON object, as content_type says (NULL: none was sent). A form is decoded in place. Returns
 * NULL on success, else an error message that is valid as error_description (§5.2). */
const char *oauth_params_read(const char *content_type, struct buf *body,
                              struct oauth_params *out) MUST_CHECK;
void oauth_params_free(struct oauth_params *params);

/* Reads the client id and secret of an Authorization header "Basic ..." (§2.3.1). They are written to space, which
 * must be as large as the header with its NUL. False when the header is not valid. */
bool basic_credentials(const char *header, char *space, const char **id, const char **secret) MUST_CHECK;

/* Writes the scopes of requested, each once. False when granted lacks one of them, or when there is none. */
bool scope_narrow(const char *granted, const char *requested, char out[static TOKEN_SCOPE_SIZE]) MUST_CHECK;

/* The stored form of a client's secret: its SHA-256 in hex. */
#define SECRET_HASH_SIZE (2 * SHA256_SIZE + 1)
void secret_hash(const char *secret, char out[static SECRET_HASH_SIZE]);
