/* Reading credentials, and writing what asks for them. */
#include "credential_text.h"

#include "common/base/clock.h"
#include "common/base/json.h"

#include <stdio.h>
#include <string.h>

enum {
    MARGIN_MS = 5 * 60 * 1000,  /* before they expire */
    UNTOLD_MS = 15 * 60 * 1000, /* where nobody said when they expire */
    LEAST_MS = 500,             /* so that credentials that have expired are not fetched with each call */
    WORDS = CREDENTIAL_WHY_SIZE / 2,
};

/* Copies text of a source. False when it is missing, too long, or would break a header. */
static bool copy_word(char *out, size_t size, const char *text, size_t len) {
    if (!text || len == 0 || len >= size)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* The token may be missing. False with the reason in why. */
static bool fill(struct credential *out, const char *key, size_t key_len, const char *secret,
                 size_t secret_len, const char *token, size_t token_len, char *why) {
    *out = (struct credential){0};
    const char *bad = !copy_word(out->key, sizeof out->key, key, key_len)               ? "access key ID"
                      : !copy_word(out->secret, sizeof out->secret, secret, secret_len) ? "secret access key"
                      : token && token_len && !copy_word(out->token, sizeof out->token, token, token_len)
                          ? "session token"
                          : NULL;
    if (!bad)
        return true;
    explicit_bzero(out, sizeof *out);
    snprintf(why, CREDENTIAL_WHY_SIZE, "no usable %s in the answer", bad);
    return false;
}

static size_t length(const char *text) {
    return text ? strlen(text) : 0;
}

/* Appends what the source says of an error, without characters that would break the line. */
static void say(char *why, const char *what, const char *text, size_t len) {
    int at = snprintf(why, CREDENTIAL_WHY_SIZE, "%s", what);
    for (size_t i = 0; i < len && i < WORDS && at < CREDENTIAL_WHY_SIZE - 1; i++, at++) {
        why[at] = text[i];
        if (text[i] < ' ' || text[i] > '~')
            why[at] = '?';
    }
    why[at] = '\0';
}

bool credential_time(const char *text, int64_t *epoch_ms) {
    char exact[TIME_TEXT_SIZE];
    size_t seconds = strlen("2026-01-31T08:15:30");
    if (strlen(text) <= seconds)
        return false;
    const char *rest = text + seconds;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (strcmp(rest, "Z") != 0)
        return false;
    snprintf(exact, sizeof exact, "%.*s.000Z", (int)seconds, text); /* its fraction does not matter */
    return clock_parse(exact, epoch_ms);
}

bool credential_from_json(const char *text, size_t len, struct credential *out,
                          char why[static CREDENTIAL_WHY_SIZE]) {
    char reason[JSON_ERROR_SIZE];
    json_t *answer = json_parse_object(text, len, reason);
    *out = (struct credential){0};
    if (!answer) {
        say(why, "the answer is no JSON: ", reason, strlen(reason));
        return false;
    }
    const char *code = json_member_string(answer, "Code"),
               *expires = json_member_string(answer, "Expiration");
    const char *key = json_member_string(answer, "AccessKeyId"), *token = json_member_string(answer, "Token");
    const char *secret = json_member_string(answer, "SecretAccessKey");
    bool good = false;
    if (code && strcmp(code, "Success") != 0)
        say(why, "the answer says ", code, strlen(code));
    else if (fill(out, key, length(key), secret, length(secret), token, length(token), why))
        good = !expires || credential_time(expires, &out->expires_ms);
    if (*out->key && !good)
        snprintf(why, CREDENTIAL_WHY_SIZE, "no usable time of expiry in the answer");
    json_decref(answer);
    return good;
}

/* The text of the first element of a name. NULL when there is none. */
static const char *element(const char *xml, const char *name, size_t *len) {
    char tag[32];
    snprintf(tag, sizeof tag, "<%s>", name);
    const char *begin = strstr(xml, tag);
    if (!begin)
        return NULL;
    begin += strlen(tag);
    *len = strcspn(begin, "<");
    return begin;
}

bool credential_from_xml(const char *text, struct credential *out, char why[static CREDENTIAL_WHY_SIZE]) {
    size_t key_len = 0, secret_len = 0, token_len = 0, time_len = 0, code_len = 0;
    const char *code = element(text, "Code", &code_len);
    const char *key = element(text, "AccessKeyId", &key_len);
    const char *secret = element(text, "SecretAccessKey", &secret_len);
    const char *token = element(text, "SessionToken", &token_len);
    const char *expires = element(text, "Expiration", &time_len);
    char time[40];
    *out = (struct credential){0};
    if (!key && code) {
        say(why, "the answer says ", code, code_len);
        return false;
    }
    if (!fill(out, key, key_len, secret, secret_len, token, token_len, why))
        return false;
    if (copy_word(time, sizeof time, expires, time_len) && credential_time(time, &out->expires_ms))
        return true;
    snprintf(why, CREDENTIAL_WHY_SIZE, "no usable time of expiry in the answer");
    return false;
}

/* Takes the next line without blanks around it; false at the end. */
static bool next_profile_line(const char **text, const char **line, size_t *len) {
    if (!**text)
        return false;
    *line = *text;
    *len = strcspn(*text, "\n");
    *text += *len + ((*text)[*len] == '\n');
    for (; *len && strchr(" \t\r", (*line)[*len - 1]); (*len)--)
        continue;
    for (; *len && strchr(" \t", **line); (*line)++, (*len)--)
        continue;
    return true;
}

/* The value of "name = value" when the line has this name. */
static const char *value_of(const char *line, size_t len, const char *name, size_t *value_len) {
    size_t at = strlen(name);
    if (len <= at || strncmp(line, name, at) != 0)
        return NULL;
    for (; at < len && strchr(" \t", line[at]); at++)
        continue;
    if (at == len || line[at++] != '=')
        return NULL;
    for (; at < len && strchr(" \t", line[at]); at++)
        continue;
    *value_len = len - at;
    return line + at;
}

bool credential_from_profile(const char *text, const char *profile, struct credential *out,
                             char why[static CREDENTIAL_WHY_SIZE]) {
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
    const char *values[3] = {0}, *line, *value;
    size_t lens[3] = {0}, len, value_len;
    bool inside = false, found = false;
    *out = (struct credential){0};
    while (next_profile_line(&text, &line, &len)) {
        if (len >= 2 && *line == '[' && line[len - 1] == ']') {
            inside = len - 2 == strlen(profile) && strncmp(line + 1, profile, len - 2) == 0;
            found |= inside;
        }
        for (size_t i = 0; inside && i < 3; i++)
            if ((value = value_of(line, len, names[i], &value_len)) != NULL) {
                values[i] = value;
                lens[i] = value_len;
            }
    }
    if (found)
        return fill(out, values[0], lens[0], values[1], lens[1], values[2], lens[2], why);
    say(why, "the file has no profile ", profile, strlen(profile));
    return false;
}

void credential_escape(struct buf *out, const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++)
        if (strchr(plain, *text))
            buf_char(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
}

int64_t credential_refresh_ms(const struct credential *credential, int64_t now_ms) {
    if (!credential->expires_ms)
        return now_ms + UNTOLD_MS;
    int64_t left_ms = credential->expires_ms - now_ms;
    int64_t wait_ms = left_ms > 2 * MARGIN_MS ? left_ms - MARGIN_MS : left_ms / 2;
    return now_ms + (wait_ms < LEAST_MS ? LEAST_MS : wait_ms);
}
