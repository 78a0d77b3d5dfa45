/* Parameters, client credentials and scopes of the OAuth endpoints. */
#include "credentials.h"

#include "common/base/base64.h"
#include "common/base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PARAMS 32

/* The field of a parameter. NULL for an unknown parameter, which is ignored (RFC 6749 §3.2). */
static const char **field(struct oauth_params *params, const char *name) {
    if (strcmp(name, "grant_type") == 0)
        return &params->grant_type;
    if (strcmp(name, "scope") == 0)
        return &params->scope;
    if (strcmp(name, "client_id") == 0)
        return &params->client_id;
    if (strcmp(name, "client_secret") == 0)
        return &params->client_secret;
    if (strcmp(name, "token") == 0)
        return &params->token;
    return NULL;
}

static void set(struct oauth_params *params, const char *name, const char *value) {
    const char **target = field(params, name);
    if (target && *value)
        *target = value;
}

/* Decodes application/x-www-form-urlencoded text in place. False when an escape is invalid or stands for NUL. */
static bool form_decode(char *text) {
    char *out = text;
    for (const char *in = text; *in; in++) {
        char c = *in;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (!isxdigit((unsigned char)in[1]) || !isxdigit((unsigned char)in[2]))
                return false;
            const char digits[] = {in[1], in[2], '\0'};
            c = (char)strtoul(digits, NULL, 16);
            in += 2;
        }
        if (c == '\0')
            return false;
        *out++ = c;
    }
    *out = '\0';
    return true;
}

static bool scope_contains(const char *const names[], size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static const char *read_form(struct buf *body, struct oauth_params *out) {
    const char *names[MAX_PARAMS];
    size_t count = 0;
    if (body->len > 0 && memchr(body->data, '\0', body->len))
        return "The form contains a NUL character";
    for (char *rest = body->data; rest;) {
        char *name = strsep(&rest, "&");
        if (!*name)
            continue;
        char *value = name + strcspn(name, "=");
        if (*value)
            *value++ = '\0';
        if (!form_decode(name) || !form_decode(value))
            return "The form contains an invalid percent escape";
        if (scope_contains(names, count, name))
            return "A parameter is repeated";
        if (count == MAX_PARAMS)
            return "The form has too many parameters";
        names[count++] = name;
        set(out, name, value);
    }
    return NULL;
}

static const char *read_json(const struct buf *body, struct oauth_params *out) {
    char error[JSON_ERROR_SIZE]; /* unused: quotes the input, but error_description allows few characters */
    out->json = json_parse_object(body->data ? body->data : "", body->len, error);
    if (!out->json)
        return "The body must be a JSON object with each member once";
    const char *name;
    json_t *value;
    json_object_foreach(out->json, name, value) {
        if (!field(out, name))
            continue;
        if (!json_is_string(value))
            return "A parameter is not a string";
        set(out, name, json_string_value(value));
    }
    return NULL;
}

static bool is_type(const char *content_type, const char *type) {
    size_t len = strlen(type);
    return strncasecmp(content_type, type, len) == 0 && strchr(" \t;", content_type[len]); /* or its NUL */
}

const char *oauth_params_read(const char *content_type, struct buf *body, struct oauth_params *out) {
    if (content_type && is_type(content_type, "application/x-www-form-urlencoded"))
        return read_form(body, out);
    if (content_type && is_type(content_type, "application/json"))
        return read_json(body, out);
    return "Send the body as application/x-www-form-urlencoded or application/json";
}

void oauth_params_free(struct oauth_params *params) {
    json_decref(params->json);
    *params = (struct oauth_params){0};
}

bool basic_credentials(const char *header, char *space, const char **id, const char **secret) {
    static const char scheme[] = "Basic ";
    if (strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *encoded = header + sizeof scheme - 1;
    encoded += strspn(encoded, " ");
    size_t len;
    if (!base64_decode(encoded, strlen(encoded), (uint8_t *)space, &len) || memchr(space, '\0', len))
        return false;
    space[len] = '\0';
    char *rest = strchr(space, ':');
    if (!rest)
        return false;
    *rest++ = '\0';
    if (!form_decode(space) || !form_decode(rest))
        return false;
    *id = space;
    *secret = rest;
    return true;
}

bool scope_narrow(const char *granted, const char *requested, char out[static TOKEN_SCOPE_SIZE]) {
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = requested + strspn(requested, " "); *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        char scope[TOKEN_SCOPE_SIZE];
        if (len >= sizeof scope)
            return false;
        memcpy(scope, at, len);
        scope[len] = '\0';
        if (!token_has_scope(granted, scope))
            return false;
        if (!token_has_scope(out, scope)) {
            if (used + len + 2 > TOKEN_SCOPE_SIZE)
                return false;
            used += (size_t)snprintf(out + used, TOKEN_SCOPE_SIZE - used, "%s%s", used ? " " : "", scope);
        }
        at += len;
    }
    return used > 0;
}

void secret_hash(const char *secret, char out[static SECRET_HASH_SIZE]) {
    uint8_t hash[SHA256_SIZE];
    sha256(secret, strlen(secret), hash);
    hex_encode(hash, sizeof hash, out);
}
